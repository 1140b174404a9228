/** The layer-wise methods as pruning methods, against dense layer Hessians from the taps. */
import { describe, expect, test } from 'vitest';
import { prune, pruningMethods } from '../../../src/pruning/index.js';
import { prunedLayers } from '../../../src/pruning/layers.js';
import { layerHessian } from '../../../src/pruning/layerwise/layer.js';
import { openLayerTaps } from '../../../src/taps/index.js';
import { cnn, mlp } from '../models.js';
import { best, exhaustive, largestDifference, row } from './oracle.js';

async function hessianOf(f: ReturnType<typeof mlp>, name: string, damping: number): Promise<Float64Array> {
  await using taps = await openLayerTaps(f, { dtype: 'float64', parameters: [name] });
  const [m] = await taps.moments({ cotangents: false });
  if (!m?.input) throw new Error('no moments');
  return layerHessian(await m.input.readFloat64(), m.rows, damping);
}

describe('exact-obs', () => {
  test('goes row by row as trying does, and leaves the best there is', async () => {
    const f = mlp();
    const name = '0.weight'; // [12, 8]
    const method = pruningMethods['exact-obs']({ damping: 1e-3 });
    const [result] = await prune(f, { method, sparsity: 0.5, parameters: [name], dtype: 'float64' });
    const h = await hessianOf(f, name, 1e-3);
    const before = f.model.parameters.find((p) => p.name === name)!.values();
    const after = result!.values[name]!;
    for (let r = 0; r < 12; r++) {
      const gone = row(result!.masks[name]!, 8, r).flatMap((k, j) => (k ? [] : [j]));
      const want = exhaustive(h, 8, row(before, 8, r), gone.length);
      expect([...want.order].sort((a, b) => a - b)).toEqual(gone);
      // as deep as the condition of H lets it: 1e3/damping units of float64
      expect(largestDifference(row(after, 8, r), want.weights)).toBeLessThanOrEqual(1e-10);
    }
  });
  test('blocks: the joint answer for what goes', async () => {
    const f = mlp();
    const method = pruningMethods['exact-obs']({ damping: 1e-3 });
    const [result] = await prune(f, {
      method,
      sparsity: 0.5,
      pattern: '4x2',
      parameters: ['0.weight'],
      dtype: 'float64',
    });
    const h = await hessianOf(f, '0.weight', 1e-3);
    const before = f.model.parameters.find((p) => p.name === '0.weight')!.values();
    for (let r = 0; r < 12; r++) {
      const fixed = new Map(row(result!.masks['0.weight']!, 8, r).flatMap((k, j) => (k ? [] : [[j, 0] as const])));
      const want = best(h, 8, row(before, 8, r), fixed);
      expect(largestDifference(row(result!.values['0.weight']!, 8, r), want)).toBeLessThanOrEqual(1e-10);
    }
  });
});

test('exact-obs in a convolution: the best there is for what went, in the order of its channels and window', async () => {
  const f = cnn();
  const method = pruningMethods['exact-obs']({ damping: 1e-3 });
  const [result] = await prune(f, { method, pattern: '2:4', parameters: ['conv2'], dtype: 'float64' });
  const n = 36; // [8, 4, 3, 3] as it is stored
  const h = await hessianOf(f, 'conv2', 1e-3);
  const before = f.model.parameters.find((p) => p.name === 'conv2')!.values();
  for (let r = 0; r < 8; r++) {
    const fixed = new Map(row(result!.masks.conv2!, n, r).flatMap((k, j) => (k ? [] : [[j, 0] as const])));
    const want = best(h, n, row(before, n, r), fixed);
    expect(largestDifference(row(result!.values.conv2!, n, r), want)).toBeLessThanOrEqual(1e-10);
  }
});

test.each(['exact-obs', 'sparsegpt'] as const)('2:4 of input channels holds in a convolution, by %s', async (name) => {
  const f = cnn();
  const [result] = await prune(f, { method: pruningMethods[name]({}), pattern: '2:4', parameters: ['conv2', 'fc'] });
  for (const layer of prunedLayers(f, { parameters: ['conv2', 'fc'] })) {
    const { indices } = layer.matrix();
    const mask = result!.masks[layer.name]!;
    for (let at = 0; at < indices.length; at += 4)
      expect([0, 1, 2, 3].filter((k) => mask[indices[at + k]!]).length).toBe(2);
  }
});

test('sparsegpt refuses what it cannot choose among', async () => {
  const options = { method: pruningMethods.sparsegpt({}), sparsity: 0.5, pattern: 'filter', parameters: ['0.weight'] };
  await expect(prune(mlp(), options)).rejects.toThrow('for blocks and filters use exact-obs');
});
