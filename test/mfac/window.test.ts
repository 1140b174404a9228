/** The sliding window: any history of insertions is the matrix of what is in the window, to rounding. */
import { Matrix } from 'ml-matrix';
import { describe, expect, test } from 'vitest';
import { ComputationError, InputError, ShapeError } from '../../src/base/errors.js';
import { sharedDevice } from '../../src/device/open.js';
import { Cholesky } from '../../src/mfac/cholesky.js';
import { StaticFisher } from '../../src/mfac/static.js';
import { GradientWindow, type WindowOptions } from '../../src/mfac/window.js';
import { normals, random } from '../reference/matrices.js';
import { denseInverse, dynamicRecursion, relative, split, type Vector } from '../reference/mfac.js';

const times = (a: Matrix, x: Vector): number[] => a.mmul(Matrix.columnVector(Array.from(x))).to1DArray();
const window = (options: WindowOptions): GradientWindow => new GradientWindow({ dtype: 'float64', ...options });

test('dynamic = static = dense inverse, m = 32, d = 1000, λ = 1e-5', async () => {
  const [m, d, lambda] = [32, 1000, 1e-5];
  const stream = split(normals(80 * d, 1), d);
  await using w = window({ capacity: m, dimension: d, damping: lambda });
  for (const g of stream) await w.insert(g);
  const kept = stream.slice(-m);
  const x = normals(d, 2);
  const found = await w.inverse().applyVector(x);
  expect(relative(found, times(denseInverse(kept, lambda), x))).toBeLessThan(1e-9);
  await using fisher = await StaticFisher.create(
    { values: Float64Array.from(kept.flatMap((g) => Array.from(g))), dimension: d },
    { damping: lambda },
  );
  expect(relative(found, await fisher.inverse().applyVector(x))).toBeLessThan(1e-10);
});

describe('partly filled windows', () => {
  const [m, d, lambda] = [6, 9, 0.01];
  const stream = split(normals(14 * d, 3), d);
  const x = normals(d, 4);
  test.each(['capacity', 'filled'] as const)('divisor: %s', async (divisor) => {
    await using w = window({ capacity: m, dimension: d, damping: lambda, divisor });
    expect(
      relative(
        await w.inverse().applyVector(x),
        x.map((v) => v / lambda),
      ),
    ).toBeLessThan(1e-15);
    for (let t = 1; t <= stream.length; t++) {
      await w.insert(stream[t - 1] as Vector);
      const kept = stream.slice(Math.max(0, t - m), t);
      const wanted = times(denseInverse(kept, lambda, divisor === 'capacity' ? m : kept.length), x);
      expect(relative(await w.inverse().applyVector(x), wanted)).toBeLessThan(1e-11);
      expect(w.count).toBe(kept.length);
    }
  });
  test('relative damping follows the window', async () => {
    await using w = window({ capacity: m, dimension: d, damping: { relative: 0.1 } });
    for (let t = 1; t <= stream.length; t++) {
      await w.insert(stream[t - 1] as Vector);
      const kept = stream.slice(Math.max(0, t - m), t);
      const squares = kept.reduce((s, g) => s + g.reduce((a, v) => a + v * v, 0), 0);
      expect(Math.abs(w.lambda / ((0.1 * squares) / m / d) - 1)).toBeLessThan(1e-13);
      expect(relative(await w.inverse().applyVector(x), times(denseInverse(kept, w.lambda, m), x))).toBeLessThan(1e-11);
    }
  });
  test('a window of one', async () => {
    await using w = window({ capacity: 1, dimension: d, damping: lambda });
    for (const g of stream.slice(0, 3)) await w.insert(g);
    const wanted = times(denseInverse(stream.slice(2, 3), lambda), x);
    expect(relative(await w.inverse().applyVector(x), wanted)).toBeLessThan(1e-12);
  });
});

test('any interleaving of insertions, replacements and products equals a rebuild', async () => {
  const [m, d, lambda] = [7, 11, 1e-3];
  const next = random(5);
  for (let trial = 0; trial < 10; trial++) {
    await using w = window({ capacity: m, dimension: d, damping: lambda });
    const slots: Vector[] = [];
    const x = normals(d, 100 + trial);
    let at = 0;
    for (let step = 0; step < 40; step++) {
      const g = normals(d, 1000 * trial + step).map((v) => v * 10 ** (2 * next() - 1));
      if (slots.length > 0 && next() < 0.3) {
        const slot = Math.floor(next() * slots.length);
        await w.replace(slot, g);
        slots[slot] = g;
      } else {
        expect(await w.insert(g)).toBe(at);
        slots[at] = g;
        at = (at + 1) % m;
      }
      if (next() < 0.5) continue;
      // κ(A) ≤ 1 + tr/(mλ); a Givens deletion and an append add a few roundings of it each
      const squares = slots.reduce((s, r) => s + r.reduce((a, v) => a + v * v, 0), 0);
      const tolerance = 64 * d * 2 ** -53 * (1 + squares / (m * lambda));
      expect(relative(await w.inverse().applyVector(x), times(denseInverse(slots, lambda, m), x))).toBeLessThan(
        tolerance,
      );
    }
  }
});

test('equal, zero and vanishing gradients do no harm', async () => {
  const [m, d] = [4, 6];
  await using w = window({ capacity: m, dimension: d, damping: 1e-8 });
  const g = normals(d, 6);
  for (const v of [g, g, g, g.map(() => 0), g, g.map((a) => 1e-30 * a)]) await w.insert(v);
  const kept = [g, g.map((a) => 1e-30 * a), g, g.map(() => 0)];
  const x = normals(d, 7);
  expect(relative(await w.inverse().applyVector(x), times(denseInverse(kept, 1e-8, m), x))).toBeLessThan(1e-6);
  expect(Number.isFinite(w.jitter)).toBe(true);
});

describe('§2.3: F⁻¹ of a stored gradient in float32, m = 256, d = 20 000, correlated gradients', () => {
  // error of each path, as the notes measured it: D/B in float32, Gram and factor in float64, push-through
  test.each([
    [1, 1e-5, 4.5e-5],
    [1, 1e-6, 4.8e-4],
    [1, 1e-8, 5.1e-2],
    [0.01, 1e-8, 5.2e-6],
  ])('‖g‖ = %f, λ = %f', async (size, lambda, woodbury) => {
    const [m, d] = [256, 20_000];
    const mean = normals(d, 8);
    const scale = size / Math.sqrt(2 * d);
    const gradients = Array.from({ length: m }, (_, i) =>
      Float64Array.from(Float32Array.from(normals(d, 9 + i), (v, j) => scale * (v + (mean[j] as number)))),
    );
    const values = new Float64Array(m * d);
    gradients.forEach((g, i) => {
      values.set(g, i * d);
    });
    await using exact = await StaticFisher.create({ values, dimension: d }, { damping: lambda });
    const unit = new Float64Array(m);
    unit[m - 1] = 1;
    const truth = exact.inverseOfStored(unit);
    const wanted = await truth.readFloat64();
    truth.dispose();

    await using w = new GradientWindow({ capacity: m, dimension: d, damping: lambda, dtype: 'float32' });
    for (const g of gradients.slice(0, -1)) await w.insert(g);
    const out = sharedDevice().block('float32', d, 1);
    await w.precondition(gradients[m - 1] as Vector, out);
    const pushed = relative(await out.readFloat64(), wanted);
    const differenced = relative(await w.inverse().applyVector(gradients[m - 1] as Vector), wanted);
    out.dispose();
    // eight roundings of float32; the notes measured 1.9e-7
    expect(pushed).toBeLessThan(8 * 2 ** -24);
    expect(differenced).toBeLessThan(10 * woodbury);
  });
  test('the paper’s recursion in float32 loses more', async () => {
    const [m, d, lambda] = [32, 500, 1e-5];
    const mean = normals(d, 8);
    const gradients = Array.from({ length: m }, (_, i) =>
      Float64Array.from(Float32Array.from(normals(d, 9 + i), (v, j) => (v + (mean[j] as number)) / Math.sqrt(2 * d))),
    );
    await using w = new GradientWindow({ capacity: m, dimension: d, damping: lambda });
    const out = sharedDevice().block('float32', d, 1);
    for (const g of gradients) await w.precondition(g, out);
    const wanted = times(denseInverse(gradients, lambda), gradients[m - 1] as Vector);
    const ours = relative(await out.readFloat64(), wanted);
    out.dispose();
    const paper = relative(
      dynamicRecursion(gradients, lambda, Math.fround).product(gradients[m - 1] as Vector),
      wanted,
    );
    expect(ours).toBeLessThan(8 * 2 ** -24);
    expect(paper).toBeGreaterThan(100 * ours);
  });
});

test('a saved window goes on in the same bits', async () => {
  const [m, d] = [5, 12];
  const stream = split(normals(20 * d, 10), d);
  for (const until of [0, 3, 5, 13]) {
    for (const damping of [1e-3, { relative: 0.1 }]) {
      await using w = window({ capacity: m, dimension: d, damping, dtype: 'float32' });
      for (const g of stream.slice(0, until)) await w.insert(g);
      const state = structuredClone(await w.save());
      await using copy = GradientWindow.restore(state);
      const a = sharedDevice().block('float32', d, 1);
      const b = sharedDevice().block('float32', d, 1);
      for (const g of stream.slice(until)) {
        await w.precondition(g, a);
        await copy.precondition(g, b);
        expect(await b.read()).toEqual(await a.read());
      }
      expect(await copy.save()).toEqual(await w.save());
      expect(() => GradientWindow.restore({ ...state, next: m })).toThrow(InputError);
    }
  }
});

test('what does not fit is refused and changes nothing', async () => {
  const d = 5;
  await using w = window({ capacity: 3, dimension: d });
  const g = normals(d, 11);
  await w.insert(g);
  const before = await w.save();
  await expect(w.insert(g.with(2, Number.NaN))).rejects.toThrow(ComputationError);
  await expect(w.insert(new Float64Array(4))).rejects.toThrow(ShapeError);
  await expect(w.replace(2, g)).rejects.toThrow(InputError);
  expect(await w.save()).toEqual(before);
  expect(() => window({ capacity: 0, dimension: d })).toThrow(InputError);
  expect(() => window({ capacity: 2, dimension: d, damping: -1 })).toThrow(InputError);
});

test('a Cholesky factor with rows deleted and appended is that of the matrix', () => {
  const n = 9;
  const g = new Matrix(split(normals(n * n, 12), n).map((r) => Array.from(r)));
  const a = g.mmul(g.transpose());
  for (let p = 0; p < n; p++) {
    const factor = new Cholesky(n);
    expect(factor.factor(n, (i, j) => a.get(i, j), 0)).toBe(true);
    factor.remove(p);
    const order = Array.from({ length: n }, (_, i) => i).filter((i) => i !== p);
    order.push(p);
    expect(
      factor.append(
        Float64Array.from(order, (i) => a.get(p, i)),
        0,
      ),
    ).toBe(true);
    const fresh = new Cholesky(n);
    fresh.factor(n, (i, j) => a.get(order[i] as number, order[j] as number), 0);
    expect(relative(factor.diagonal(), fresh.diagonal())).toBeLessThan(1e-12);
    const x = normals(n, 13);
    const y = x.slice();
    factor.solve(x);
    fresh.solve(y);
    expect(relative(x, y)).toBeLessThan(1e-9);
  }
  const indefinite = new Cholesky(2);
  expect(indefinite.factor(2, (i, j) => (i === j ? 1 : 2), 0)).toBe(false);
});
