/** M-FAC on fixed gradients against the dense inverse and the paper's recursions. */
import { Matrix } from 'ml-matrix';
import { describe, expect, test } from 'vitest';
import { ComputationError, InputError } from '../../src/base/errors.js';
import { StaticFisher } from '../../src/mfac/static.js';
import { BlockDiagonalInverse } from '../../src/mfac/static-blocks.js';
import { normals } from '../reference/matrices.js';
import { denseFisher, denseInverse, dynamicRecursion, relative, split, staticRecursion } from '../reference/mfac.js';

const u = 2 ** -53;
/** Errors of A⁻¹ grow with its condition: tr(GGᵀ)/(mλ) + 1; 8·d for sums of d terms in any order. */
const allowed = (d: number, squares: number, m: number, lambda: number): number =>
  8 * d * u * (1 + squares / (m * lambda));
const sumOfSquares = (x: Float64Array): number => x.reduce((s, v) => s + v * v, 0);

describe('m = 32, d = 1000, λ = 1e-5', () => {
  const [m, d, lambda] = [32, 1000, 1e-5];
  const values = normals(m * d, 1);
  const gradients = split(values, d);
  const x = normals(d, 2);
  const dense = denseInverse(gradients, lambda);
  const expected = dense.mmul(Matrix.columnVector(Array.from(x))).to1DArray();

  test('static = paper’s static = paper’s dynamic = dense inverse', async () => {
    await using fisher = await StaticFisher.create({ values, dimension: d }, { damping: lambda });
    const found = await fisher.inverse().applyVector(x);
    expect(relative(found, expected)).toBeLessThan(1e-9);
    expect(relative(staticRecursion(gradients, lambda).product(x), expected)).toBeLessThan(1e-9);
    expect(relative(dynamicRecursion(gradients, lambda).product(x), expected)).toBeLessThan(1e-9);
    expect(relative(found, staticRecursion(gradients, lambda).product(x))).toBeLessThan(1e-12);
  });
  test('V and q of the recursion', async () => {
    await using fisher = await StaticFisher.create({ values, dimension: d }, { damping: lambda });
    const paper = staticRecursion(gradients, lambda);
    expect(relative(fisher.pivots(), paper.q)).toBeLessThan(1e-12);
    expect(relative(dynamicRecursion(gradients, lambda).q, paper.q)).toBeLessThan(1e-12);
    const v = fisher.whitened();
    expect(
      relative(
        await v.readFloat64(),
        paper.v.flatMap((row) => Array.from(row)),
      ),
    ).toBeLessThan(1e-12);
    v.dispose();
  });
  test('diagonal, elements and sub-blocks', async () => {
    await using fisher = await StaticFisher.create({ values, dimension: d }, { damping: lambda });
    expect(relative(await fisher.diagonal(), dense.diagonal())).toBeLessThan(1e-9);
    const indices = [999, 3, 500, 4];
    const wanted = indices.flatMap((a) => indices.map((b) => dense.get(a, b)));
    expect(relative(await fisher.subBlock(indices), wanted)).toBeLessThan(1e-9);
    expect(Math.abs((await fisher.element(3, 500)) / dense.get(3, 500) - 1)).toBeLessThan(1e-6);
    expect(relative([await fisher.element(7, 7)], [dense.get(7, 7)])).toBeLessThan(1e-9);
    await expect(fisher.element(0, 1000)).rejects.toThrow(InputError);
  });
  test('F⁻¹ undoes F; stored gradients by push-through', async () => {
    await using fisher = await StaticFisher.create({ values, dimension: d }, { damping: lambda });
    const y = await fisher.forward().applyVector(x);
    expect(
      relative(
        y,
        denseFisher(gradients, lambda)
          .mmul(Matrix.columnVector(Array.from(x)))
          .to1DArray(),
      ),
    ).toBeLessThan(1e-12);
    expect(relative(await fisher.inverse().applyVector(y), x)).toBeLessThan(
      allowed(d, sumOfSquares(values), m, lambda),
    );
    const c = normals(2 * m, 3);
    const pushed = fisher.inverseOfStored(c);
    const combined = new Matrix(split(c, m).map((r) => Array.from(r))).mmul(
      new Matrix(gradients.map((r) => Array.from(r))),
    );
    const wanted = combined.mmul(dense).to1DArray();
    expect(relative(await pushed.readFloat64(), wanted)).toBeLessThan(allowed(d, sumOfSquares(values), m, lambda));
    pushed.dispose();
  });
});

describe('scales', () => {
  const [m, d] = [5, 40];
  const values = normals(m * d, 4);
  const gradients = split(values, d);
  const x = normals(d, 5);
  const product = async (options: Parameters<typeof StaticFisher.create>[1]): Promise<Float64Array> => {
    await using fisher = await StaticFisher.create({ values, dimension: d }, options);
    return fisher.inverse().applyVector(x);
  };
  const dense = (lambda: number, divisor?: number): number[] =>
    denseInverse(gradients, lambda, divisor)
      .mmul(Matrix.columnVector(Array.from(x)))
      .to1DArray();

  test('a divisor of choice', async () => {
    expect(relative(await product({ damping: 0.1, divisor: 64 }), dense(0.1, 64))).toBeLessThan(1e-12);
  });
  test('damping relative to trace/d', async () => {
    const lambda = (0.01 * sumOfSquares(values)) / m / d;
    expect(relative(await product({ damping: { relative: 0.01 } }), dense(lambda))).toBeLessThan(1e-11);
  });
  test('float32 storage, to its rounding', async () => {
    await using fisher = await StaticFisher.create({ values, dimension: d, dtype: 'float32' }, { damping: 0.1 });
    const error = relative(await fisher.inverse().applyVector(x), dense(0.1));
    expect(error).toBeLessThan(2 ** -24 * 8 * (1 + sumOfSquares(values) / (m * 0.1)));
    expect(error).toBeGreaterThan(1e-12);
    expect(relative(await fisher.diagonal(), denseInverse(gradients, 0.1).diagonal())).toBeLessThan(1e-5);
  });
  test('more gradients than elements, and equal ones', async () => {
    const many = normals(50 * 7, 6);
    many.copyWithin(7, 0, 7);
    await using fisher = await StaticFisher.create({ values: many, dimension: 7 }, { damping: 1e-3 });
    const wanted = denseInverse(split(many, 7), 1e-3).to1DArray();
    const identity = Float64Array.from({ length: 49 }, (_, i) => (i % 8 === 0 ? 1 : 0));
    const block = await fisher.inverse().apply(identity);
    expect(relative(await block.readFloat64(), wanted)).toBeLessThan(allowed(7, sumOfSquares(many), 50, 1e-3) * 50);
    block.dispose();
  });
  test('what makes no sense is refused', async () => {
    await expect(product({ damping: 0 })).rejects.toThrow(InputError);
    await expect(product({ damping: { relative: Number.NaN } })).rejects.toThrow(InputError);
    await expect(product({ divisor: 0 })).rejects.toThrow(InputError);
    await expect(StaticFisher.create({ values, dimension: 7 })).rejects.toThrow(InputError);
    await expect(StaticFisher.create({ values: values.with(3, Number.NaN), dimension: d })).rejects.toThrow(
      ComputationError,
    );
    const nothing = { values: new Float64Array(d), dimension: d };
    await expect(StaticFisher.create(nothing, { damping: { relative: 1 } })).rejects.toThrow(InputError);
  });
});

describe('block-diagonal', () => {
  const [m, d, lambda] = [12, 101, 1e-3];
  const values = normals(m * d, 7);
  const gradients = split(values, d);
  const x = normals(2 * d, 8);
  // 5 and 12: factored directly; 40: through the Gram matrix, but for the last block of 21 (also Gram) or 1
  test.each([1, 5, 12, 20, 40, 101, 400])('blocks of %i', async (blockSize) => {
    await using inverse = await BlockDiagonalInverse.create({ values, dimension: d }, { damping: lambda, blockSize });
    const wanted = new Float64Array(2 * d);
    const diagonal: number[] = [];
    for (let from = 0; from < d; from += blockSize) {
      const part = denseInverse(
        gradients.map((g) => g.slice(from, from + blockSize)),
        lambda,
      );
      diagonal.push(...part.diagonal());
      for (const k of [0, 1]) {
        const piece = Array.from(x.subarray(k * d + from, k * d + Math.min(d, from + blockSize)));
        wanted.set(part.mmul(Matrix.columnVector(piece)).to1DArray(), k * d + from);
      }
    }
    const block = await inverse.apply(x);
    const tolerance = allowed(Math.max(m, blockSize), sumOfSquares(values), m, lambda);
    expect(relative(await block.readFloat64(), wanted)).toBeLessThan(tolerance);
    block.dispose();
    expect(relative(await inverse.diagonal(), diagonal)).toBeLessThan(tolerance);
  });
  test('a gradient that is not finite', async () => {
    const bad = { values: values.with(100, Number.POSITIVE_INFINITY), dimension: d };
    await expect(BlockDiagonalInverse.create(bad)).rejects.toThrow(ComputationError);
    await expect(BlockDiagonalInverse.create({ values, dimension: d }, { blockSize: 0 })).rejects.toThrow(InputError);
  });
});
