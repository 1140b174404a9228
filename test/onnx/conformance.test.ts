/**
 * ONNX's own cases, where they are installed (Debian: libonnx-testdata; elsewhere name the folder in
 * HESSIA_ONNX_CASES). Every case of a supported operator must pass but the few listed here.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runCase } from './cases.js';

const folder = process.env.HESSIA_ONNX_CASES ?? '/usr/share/libonnx-testdata/data/node';

/** what we do otherwise, and why */
const otherwise: readonly [RegExp, string][] = [
  [/^test_training_dropout/, 'dropout in training mode is refused'],
  [
    /^test_resize_downsample_scales_(linear|cubic)_align_corners$/,
    'aligned corners go by the whole extent of the result, as in PyTorch and onnxruntime',
  ],
  [/^test_bitshift_.*(overflow|width|negative)/, 'integers do not wrap'],
  [/bfloat16|float8|float4|e8m0|e4m3|e5m2/i, 'narrow floating-point types are not rounded to'],
  [/^test_cast(like)?_.*_to_U?INT[24](_expanded)?$/, 'narrow integers do not wrap'],
  [/^test_averagepool_2d_ceil_last_window_starts_on_pad$/, 'the expected values have four digits'],
];

describe.skipIf(!existsSync(folder))('ONNX conformance', () => {
  const cases = existsSync(folder) ? readdirSync(folder).sort() : [];
  let passed = 0;
  test('every case of a supported operator', () => {
    const failed: string[] = [];
    for (const name of cases.filter((c) => !otherwise.some(([pattern]) => pattern.test(c)))) {
      const result = runCase(join(folder, name));
      if (result.kind === 'passed') passed++;
      if (result.kind === 'failed') failed.push(`${name}: ${result.why}`);
    }
    expect(failed).toEqual([]);
    expect(passed).toBeGreaterThan(700);
  }, 60_000);
});
