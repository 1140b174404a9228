/** Files that end anywhere, and files that ask for the impossible, end in an error of ours; see fuzz/ for other damage. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { HessiaError } from '../../src/base/errors.js';
import { Graph } from '../../src/graph/index.js';
import { modelFromOnnx } from '../../src/onnx/index.js';
import { decodeModel } from '../../src/onnx/proto/index.js';

const fixtures = join(import.meta.dirname, '../fixtures');
const files = [
  'tiny-cnn.onnx',
  'tiny-attention.onnx',
  'unusual/local-function.onnx',
  'unusual/shape-arithmetic.onnx',
  'unusual/slicing.onnx',
];

/** loads and writes the model; anything but success or an error of ours fails the test */
function attempt(bytes: Uint8Array): 'imported' | 'refused' {
  try {
    const model = modelFromOnnx({ path: 'damaged.onnx', bytes, model: decodeModel(bytes) });
    const graph = new Graph();
    const inputs = new Map(
      model.inputs.map(
        (i) =>
          [
            i.name,
            graph.input(
              i.name,
              i.shape.map((d) => d ?? 2),
              i.dtype,
            ),
          ] as const,
      ),
    );
    model.build({ graph, dtype: 'float32', inputs, parameters: new Map() });
    return 'imported';
  } catch (error) {
    if (!(error instanceof HessiaError)) throw error;
    expect(error.message).not.toContain('\n');
    expect(error.code).not.toBe('INTERNAL');
    return 'refused';
  }
}

describe.each(files)('%s', (file) => {
  const whole = new Uint8Array(readFileSync(join(fixtures, file)));
  test('is fine as it is', () => expect(attempt(whole)).toBe('imported'));
  test('cut anywhere', () => {
    for (let end = 0; end < whole.length; end += Math.max(1, Math.floor(whole.length / 300)))
      attempt(whole.slice(0, end));
  });
});
