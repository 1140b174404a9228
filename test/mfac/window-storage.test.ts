/** Windows in float32, bfloat16 and sparse rows: the matrix of what is stored, whatever the history. */
import { describe, expect, test } from 'vitest';
import { ComputationError, InputError } from '../../src/base/errors.js';
import { openDevice, sharedDevice } from '../../src/device/open.js';
import { GradientWindow, type WindowOptions } from '../../src/mfac/window.js';
import { MfacOptimizer } from '../../src/optimizers/mfac.js';
import { normals, random } from '../reference/matrices.js';
import { denseInverse, relative, type Vector } from '../reference/mfac.js';

/** To eight significant bits, ties to even. */
function toBFloat16(x: number): number {
  const exponent = Math.max(-126, Math.floor(Math.log2(Math.abs(x))));
  if (x === 0) return 0;
  const unit = 2 ** (exponent - 7);
  const scaled = Math.fround(x) / unit;
  const down = Math.floor(scaled);
  const rest = scaled - down;
  return unit * (rest > 0.5 || (rest === 0.5 && down % 2 !== 0) ? down + 1 : down);
}

/** What a storage makes of one gradient after the other; `round` is that of the vectors' type. */
type Model = (gradient: Vector) => Vector;
const float32: Model = (g) => g.map(Math.fround);
const bfloat16: Model = (g) => g.map(toBFloat16);
function sparse(d: number, block: number, keep: number, round: (x: number) => number): Model & { error: Vector } {
  const model = (g: Vector): Vector => {
    const e = model.error.map((x, i) => round(x + round(g[i] as number)));
    const row = new Float64Array(d);
    for (let from = 0; from < d; from += block) {
      const order = Array.from({ length: Math.min(block, d - from) }, (_, i) => from + i);
      order.sort((a, b) => Math.abs(e[b] as number) - Math.abs(e[a] as number) || a - b);
      for (const i of order.slice(0, keep)) {
        row[i] = e[i] as number;
        e[i] = 0;
      }
    }
    model.error = e;
    return row;
  };
  model.error = new Float64Array(d);
  return model;
}

const d = 41;
const storages: [string, Partial<WindowOptions>, () => Model][] = [
  ['float32', {}, () => float32],
  ['bfloat16', { storage: 'bfloat16' }, () => bfloat16],
  ['sparse', { sparsity: 0.75, blockSize: 16 }, () => sparse(d, 16, 4, Math.fround)],
  ['sparse, float64', { sparsity: 0.75, blockSize: 16, dtype: 'float64' }, () => sparse(d, 16, 4, (x) => x)],
];
const times = (inverse: ReturnType<typeof denseInverse>, x: Vector): number[] =>
  inverse.to2DArray().map((row) => row.reduce((s, v, j) => s + v * (x[j] as number), 0));

describe.each(storages)('%s', (_, options, makeModel) => {
  test.each([
    [1, 'capacity'],
    [3, 'filled'],
    [33, 'capacity'],
    [33, 'filled'],
  ] as const)('any interleaving equals a rebuild, m = %i, divisor %s', async (m, divisor) => {
    const lambda = 0.01;
    const next = random(5 + m);
    await using w = new GradientWindow({ capacity: m, dimension: d, damping: lambda, divisor, ...options });
    const model = makeModel();
    const slots: Vector[] = [];
    const x = normals(d, 100);
    // Rounded inner products, and the oracle's elimination of a d × d matrix, cost A's condition 1 + tr/(nλ).
    const u = options.dtype === 'float64' ? 2 ** -53 : 2 ** -24;
    const allowed = (n: number): number => {
      const squares = slots.reduce((s, r) => s + r.reduce((a, v) => a + v * v, 0), 0);
      return (8 * u + 64 * d * 2 ** -53) * (1 + squares / (n * lambda));
    };
    let at = 0;
    for (let step = 0; step < 3 * m + 5; step++) {
      const g = normals(d, 1000 + step).map((v) => v * 10 ** (2 * next() - 1));
      const output = sharedDevice().block(options.dtype ?? 'float32', d, 1);
      let slot = at;
      if (slots.length > 0 && next() < 0.3) {
        slot = Math.floor(next() * slots.length);
        await w.replace(slot, g);
        slots[slot] = model(g);
      } else {
        await w.precondition(g, output);
        slots[at] = model(g);
        at = (at + 1) % m;
        const n = divisor === 'capacity' ? m : slots.length;
        const wanted = times(denseInverse(slots, lambda, n), slots[slot] as Vector);
        expect(relative(await output.readFloat64(), wanted)).toBeLessThanOrEqual(allowed(n));
      }
      output.dispose();
      if (step % 4 !== 0) continue;
      const n = divisor === 'capacity' ? m : slots.length;
      const found = await w.inverse().applyVector(x);
      expect(relative(found, times(denseInverse(slots, lambda, n), x))).toBeLessThanOrEqual(allowed(n));
    }
  });

  test('a gradient that is not finite is refused and changes nothing', async () => {
    await using w = new GradientWindow({ capacity: 3, dimension: d, ...options });
    for (let t = 0; t < 4; t++) await w.insert(normals(d, t));
    const before = await w.save();
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY])
      await expect(w.insert(normals(d, 9).with(40, bad))).rejects.toThrow(ComputationError);
    expect(withoutStaged(await w.save())).toEqual(withoutStaged(before));
    await using copy = GradientWindow.restore(before);
    await w.insert(normals(d, 10));
    await copy.insert(normals(d, 10));
    expect(withoutStaged(await w.save())).toEqual(withoutStaged(await copy.save()));
  });

  test('saved and restored it goes on in the same bits', async () => {
    for (const until of [0, 2, 7]) {
      await using w = new GradientWindow({ capacity: 5, dimension: d, damping: { relative: 0.1 }, ...options });
      for (let t = 0; t < until; t++) await w.insert(normals(d, t));
      await using copy = GradientWindow.restore(structuredClone(await w.save()));
      const [a, b] = [0, 1].map(() => sharedDevice().block(options.dtype ?? 'float32', d, 1)) as [Block, Block];
      for (let t = until; t < 12; t++) {
        await w.precondition(normals(d, t), a);
        await copy.precondition(normals(d, t), b);
        expect(await b.read()).toEqual(await a.read());
      }
      a.dispose();
      b.dispose();
    }
    await using w = new GradientWindow({ capacity: 5, dimension: d, ...options });
    await w.insert(normals(d, 0));
    const state = await w.save();
    expect(() => GradientWindow.restore({ ...state, gradients: state.gradients.slice(1) })).toThrow(InputError);
  });

  test('insertions need not be awaited, and take the gradient as it is at the call', async () => {
    const dtype = options.dtype ?? 'float32';
    await using one = new GradientWindow({ capacity: 4, dimension: d, ...options });
    await using other = new GradientWindow({ capacity: 4, dimension: d, ...options });
    const g = sharedDevice().block(dtype, d, 1);
    const calls: Promise<number>[] = [];
    for (let t = 0; t < 9; t++) {
      g.write(normals(d, t));
      calls.push(one.insert(g));
      await other.insert(normals(d, t));
    }
    g.write(normals(d, 0).fill(Number.NaN));
    const refused = one.insert(g);
    g.dispose();
    expect(await Promise.all(calls)).toEqual([0, 1, 2, 3, 0, 1, 2, 3, 0]);
    await expect(refused).rejects.toThrow(ComputationError);
    expect(withoutStaged(await one.save())).toEqual(withoutStaged(await other.save()));
  });
});

type Block = ReturnType<ReturnType<typeof sharedDevice>['block']>;
type State = Awaited<ReturnType<GradientWindow['save']>>;
/** Sparse rows are saved with the one that was staged last, which means nothing. */
function withoutStaged(state: State): unknown {
  if (!state.sparse) return state;
  const { capacity, dimension, blockSize = 4096, sparsity = 0 } = state;
  const keep = Math.round((1 - sparsity) * blockSize);
  const kept = (values: ArrayLike<number>): number[] =>
    Array.from(values).filter((_, at) => {
      const block = Math.floor(at / ((capacity + 1) * keep));
      const each = Math.min(keep, dimension - block * blockSize);
      return Math.floor((at - block * (capacity + 1) * keep) / each) < state.factor.count;
    });
  return {
    ...state,
    gradients: kept(state.gradients),
    sparse: { ...state.sparse, indices: kept(state.sparse.indices) },
  };
}

describe('bfloat16', () => {
  test('results are those of a float32 window of the rounded gradients, to float32', async () => {
    const [m, n] = [24, 3001];
    await using half = new GradientWindow({ capacity: m, dimension: n, damping: 1e-3, storage: 'bfloat16' });
    await using full = new GradientWindow({ capacity: m, dimension: n, damping: 1e-3 });
    const [a, b] = [0, 1].map(() => sharedDevice().block('float32', n, 1)) as [Block, Block];
    for (let t = 0; t < 40; t++) {
      const g = normals(n, t).map(Math.fround);
      await half.precondition(g, a);
      await full.precondition(g.map(toBFloat16), b);
      expect(relative(await a.readFloat64(), await b.readFloat64())).toBeLessThanOrEqual(8 * 2 ** -24);
    }
    const bits = (await half.save()).gradients;
    const rows = (await full.save()).gradients;
    expect(Array.from(bits, (v) => new Float32Array(Uint32Array.of(v << 16).buffer)[0])).toEqual(Array.from(rows));
    a.dispose();
    b.dispose();
  });
  test('half the memory; float32 vectors only', () => {
    const device = openDevice({ threads: 1 });
    const w = new GradientWindow({ capacity: 99, dimension: 1000, storage: 'bfloat16', device });
    expect(device.allocatedBytes).toBe(2 * 100 * 1000);
    w.dispose();
    expect(device.allocatedBytes).toBe(0);
    device.dispose();
    expect(() => new GradientWindow({ dimension: 3, storage: 'bfloat16', dtype: 'float64' })).toThrow(InputError);
    expect(() => new GradientWindow({ dimension: 3, storage: 'bfloat16', sparsity: 0.9 })).toThrow(InputError);
  });
});

describe('sparse', () => {
  test('sparsity 0 is the dense window', async () => {
    const m = 7;
    await using all = new GradientWindow({ capacity: m, dimension: d, sparsity: 0, blockSize: 16, dtype: 'float64' });
    await using dense = new GradientWindow({ capacity: m, dimension: d, dtype: 'float64' });
    const [a, b] = [0, 1].map(() => sharedDevice().block('float64', d, 1)) as [Block, Block];
    for (let t = 0; t < 20; t++) {
      await all.precondition(normals(d, t), a);
      await dense.precondition(normals(d, t), b);
      // the Gram matrices differ by the order of d terms; A's condition is at most 1 + tr/(mλ), |g|² about d
      expect(relative(await a.read(), await b.read())).toBeLessThanOrEqual(2 ** -53 * d * (1 + (2 * d) / 1e-5));
    }
    expect((await all.save()).sparse?.error).toEqual(new Float64Array(d));
    a.dispose();
    b.dispose();
  });
  test('what was inserted and the error left add up to the gradients', async () => {
    const [m, n, blockSize] = [12, 1000, 300];
    // integers: every sum is exact
    const gradients = Array.from({ length: m }, (_, t) => normals(n, t).map((v) => Math.round(100 * v)));
    await using w = new GradientWindow({ capacity: m, dimension: n, sparsity: 0.99, blockSize, dtype: 'float64' });
    for (const g of gradients) await w.insert(g);
    const state = await w.save();
    const sum = Float64Array.from(state.sparse?.error ?? []);
    const [keep, rows] = [3, m + 1];
    let at = 0;
    for (let from = 0; from < n; from += blockSize)
      for (let r = 0; r < rows; r++)
        for (let k = 0; k < keep; k++, at++) {
          const e = from + (state.sparse?.indices[at] as number);
          if (r < m) sum[e] = (sum[e] as number) + (state.gradients[at] as number);
        }
    expect(at).toBe(state.gradients.length);
    expect(sum).toEqual(gradients.reduce((s, g) => s.map((v, i) => v + (g[i] as number)), new Float64Array(n)));
    expect(state.sparse?.error.some((v) => v !== 0)).toBe(true);
  });
  test('6 bytes for each element kept, and two vectors', async () => {
    const device = openDevice({ threads: 1 });
    const [m, n] = [255, 100_000];
    const w = new GradientWindow({ capacity: m, dimension: n, sparsity: 0.99, blockSize: 1000, device });
    expect(device.allocatedBytes).toBe(6 * 0.01 * n * (m + 1) + 2 * 4 * n);
    await device.finish(); // what is queued holds its memory
    w.dispose();
    expect(device.allocatedBytes).toBe(0);
    device.dispose();
  });
  test.each([{ sparsity: 1 }, { sparsity: -0.1 }, { sparsity: Number.NaN }, { sparsity: 0.9, blockSize: 65537 }])(
    '%o is refused',
    (wrong) => {
      expect(() => new GradientWindow({ capacity: 2, dimension: 9, ...wrong })).toThrow(InputError);
    },
  );
});

test.each(storages.slice(0, 3))('the optimizer with %s rows: a step is that of its window', async (_, options) => {
  const theta = sharedDevice().block('float32', d, 1);
  theta.zero();
  await using optimizer = new MfacOptimizer(theta, { learningRate: 0.5, capacity: 3, ...options });
  await using window = new GradientWindow({ capacity: 3, dimension: d, ...options });
  const [g, s] = [0, 1].map(() => sharedDevice().block('float32', d, 1)) as [Block, Block];
  const sum = new Float64Array(d);
  for (let t = 0; t < 5; t++) {
    g.write(normals(d, t));
    await optimizer.update(g, theta);
    await window.precondition(g, s);
    (await s.readFloat64()).forEach((v, i) => {
      sum[i] = Math.fround((sum[i] as number) - 0.5 * v);
    });
  }
  expect(await theta.readFloat64()).toEqual(sum);
  await using again = new MfacOptimizer(theta, { learningRate: 0.5, capacity: 3, ...options }, await optimizer.save());
  expect(again.window.count).toBe(3);
  for (const block of [theta, g, s]) block.dispose();
});
