/**
 * ONNX's own cases, where they are installed (Debian: libonnx-testdata; elsewhere name the folder that holds node,
 * simple, … in HESSIA_ONNX_CASES): every case gives the expected output and has the derivatives that differences
 * show, but for those listed here.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { derivativeFault } from './case-derivatives.js';
import { type CaseResult, caseFiles, runCase } from './cases.js';

const root = process.env.HESSIA_ONNX_CASES ?? '/usr/share/libonnx-testdata/data';
const sets = ['node', 'simple', 'pytorch-operator', 'pytorch-converted'];

/** not imported, or otherwise than the case expects, and why */
const excluded: readonly [RegExp, string][] = [
  [/^test_(training_dropout|batchnorm_.*_training_mode)/, 'training mode is refused'],
  [/^test_(adagrad|adam|momentum|nesterov_momentum|gradient_of)/, 'operators of training'],
  [/^test_bernoulli/, 'random operators are refused'],
  [/integer|qlinear|quantizelinear/, 'integer and quantised arithmetic'],
  [/^test_(nonmaxsuppression|unique)/, 'result shapes depend on data'],
  [/^test_(identity_opt|optional|if_opt|loop16_seq_none)/, 'optional values'],
  [
    /^test_(identity_sequence|if_seq|loop13_seq|sequence_(insert|map)|split_to_sequence|sequence_model[1-8]$)/,
    'sequences as inputs or outputs',
  ],
  [/^test_(strnorm|tfidfvectorizer|equal_string|cast(like)?_(STRING|FLOAT_to_STRING))/, 'strings'],
  [/^test_scan_sum$/, 'Scan of opset 8 is refused'],
  [
    /^test_resize_downsample_scales_(linear|cubic)_align_corners$/,
    'aligned corners go by the whole extent of the result, as in PyTorch and onnxruntime',
  ],
  [/^test_bitshift_.*(overflow|width|negative)/, 'integers do not wrap'],
  [/bfloat16|float8|float4|e8m0|e4m3|e5m2/i, 'narrow floating-point types are not rounded to'],
  [/^test_cast(like)?_.*_to_U?INT[24](_expanded)?$/, 'narrow integers do not wrap'],
  [/^test_averagepool_2d_ceil_last_window_starts_on_pad$/, 'the expected values have four digits'],
];
/** right, but differences say nothing about its derivatives there */
const unsmooth: readonly [RegExp, string][] = [
  [/^test_batchnorm_(epsilon|example)$/, 'running statistics are not differentiated'],
  [/^test_((elu|leakyrelu|selu|thresholdedrelu)_example|acosh_example)$/, 'an input stands at the kink'],
  [/^test_(floor_example|round|sign|sign_model|hardmax_one_hot)$/, 'an input stands at a jump'],
  [/^test_(gridsample_|roialign_aligned_false)/, 'positions stand between pixels, where interpolation has kinks'],
  [/^test_reduce_min_default_axes_keepdims_example$/, 'two inputs tie'],
];

const installed = sets.filter((set) => existsSync(join(root, set)));
describe.skipIf(installed.length === 0)('ONNX conformance', () => {
  const cases = installed.flatMap((set) => readdirSync(join(root, set)).map((name) => ({ set, name })));
  const results = new Map<string, CaseResult>();

  test('every case gives what is expected', () => {
    for (const { set, name } of cases) results.set(`${set}/${name}`, runCase(caseFiles(join(root, set, name))));
    const listed = (key: string): boolean => excluded.some(([pattern]) => pattern.test(key.split('/')[1] as string));
    const failed = [...results].filter(([key, r]) => r.kind !== 'passed' && !listed(key));
    expect(failed.map(([key, r]) => `${key}: ${r.kind === 'passed' ? '' : r.why}`)).toEqual([]);
    expect([...results.values()].filter((r) => r.kind === 'passed').length).toBeGreaterThan(951);
  }, 60_000);

  test('every exclusion is needed', () => {
    const needed = (pattern: RegExp): boolean =>
      [...results].some(([key, r]) => r.kind !== 'passed' && pattern.test(key.split('/')[1] as string));
    const newer = /e8m0|INT\[24\]|overflow|starts_on_pad/; // patterns for releases newer than Debian's
    expect(excluded.filter(([p]) => !newer.test(p.source) && !needed(p)).map(([, why]) => why)).toEqual([]);
  });

  test('gradients and Hessians agree with differences', () => {
    const faults: string[] = [];
    let checked = 0;
    for (const [key, result] of results) {
      if (result.kind !== 'passed' || unsmooth.some(([p]) => p.test(key.split('/')[1] as string))) continue;
      const fault = derivativeFault(result.model, result.arrays);
      if (fault === undefined) checked++;
      else if (fault !== 'none') faults.push(`${key}: ${fault}`);
    }
    expect(faults).toEqual([]);
    expect(checked).toBeGreaterThan(680);
  }, 120_000);
});
