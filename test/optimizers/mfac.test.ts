/** The M-FAC optimizer against its recursion with dense inverses, and its own saved state. */
import { Matrix } from 'ml-matrix';
import { describe, expect, test } from 'vitest';
import { ComputationError, InputError, ShapeError } from '../../src/base/errors.js';
import type { Block } from '../../src/device/block.js';
import { sharedDevice } from '../../src/device/open.js';
import { MfacOptimizer } from '../../src/optimizers/mfac.js';
import { linear } from '../../src/optimizers/schedule.js';
import { normals } from '../reference/matrices.js';
import { denseInverse, relative, type Vector } from '../reference/mfac.js';

const d = 7;
const target = normals(d, 1);
/** ∇ of ½Σ (j+1)(θ_j − target_j)², with noise of the step */
const gradientAt = (theta: Vector, t: number): Vector => {
  const noise = normals(d, 100 + t);
  return theta.map((x, j) => (j + 1) * (x - (target[j] as number)) + 0.1 * (noise[j] as number));
};
const vector = (values: ArrayLike<number>, dtype: 'float32' | 'float64' = 'float64'): Block => {
  const block = sharedDevice().block(dtype, d, 1);
  block.write(values);
  return block;
};

describe.each([0, 0.9])('momentum %f', (momentum) => {
  const options = { learningRate: 0.05, momentum, weightDecay: 0.01, damping: 0.1, capacity: 4, schedule: linear(50) };
  test('follows its recursion', async () => {
    const theta = vector(normals(d, 2));
    await using optimizer = new MfacOptimizer(theta, options);
    let w: Vector = normals(d, 2);
    let v: Vector = new Float64Array(d);
    const window: Vector[] = [];
    for (let t = 0; t < 11; t++) {
      const gradient = vector(gradientAt(w, t));
      await optimizer.update(gradient, theta);
      gradient.dispose();
      const g = gradientAt(w, t).map((x, j) => x + 0.01 * (w[j] as number));
      window.push(g);
      if (window.length > 4) window.shift();
      const s = denseInverse(window, 0.1, 4)
        .mmul(Matrix.columnVector(Array.from(g)))
        .to1DArray();
      v = v.map((x, j) => momentum * x + (1 - momentum) * (s[j] as number));
      w = w.map((x, j) => x - 0.05 * (1 - t / 50) * (v[j] as number));
      expect(relative(await theta.readFloat64(), w)).toBeLessThan(1e-11);
    }
    theta.dispose();
  });
  test('restored, it goes on in the same bits', async () => {
    const [a, b] = [vector(normals(d, 3), 'float32'), vector(normals(d, 3), 'float32')];
    await using first = new MfacOptimizer(a, options);
    const steps = async (o: MfacOptimizer, theta: Block, from: number, to: number): Promise<void> => {
      for (let t = from; t < to; t++) {
        const g = vector(gradientAt(await theta.readFloat64(), t), 'float32');
        await o.update(g, theta);
        g.dispose();
      }
    };
    await steps(first, a, 0, 6);
    b.write(await a.read());
    await using second = new MfacOptimizer(b, options, structuredClone(await first.save()));
    expect(second.step).toBe(6);
    await steps(first, a, 6, 15);
    await steps(second, b, 6, 15);
    expect(await b.read()).toEqual(await a.read());
    expect(await second.save()).toEqual(await first.save());
    const other = { ...options, momentum: momentum === 0 ? 0.5 : 0 };
    const state = await first.save();
    expect(() => new MfacOptimizer(a, other, state)).toThrow(ShapeError);
    a.dispose();
    b.dispose();
  });
});

test('a gradient that is not finite names the step and changes nothing', async () => {
  const theta = vector(normals(d, 4));
  await using optimizer = new MfacOptimizer(theta, { capacity: 3 });
  const good = vector(normals(d, 5));
  await optimizer.update(good, theta);
  const before = [await theta.read(), await optimizer.save()];
  const bad = vector(normals(d, 5).with(0, Number.NaN));
  await expect(optimizer.update(bad, theta)).rejects.toThrow(/^step 2 /);
  await expect(optimizer.update(bad, theta)).rejects.toThrow(ComputationError);
  expect([await theta.read(), await optimizer.save()]).toEqual(before);
  expect(() => new MfacOptimizer(theta, { learningRate: 0 })).toThrow(InputError);
  for (const block of [theta, good, bad]) block.dispose();
});
