import { describe, expect, it } from 'vitest';
import {
  checkInterrupted,
  InputError,
  InternalError,
  InterruptedError,
  MissingEnvironmentError,
  OutOfMemoryError,
  ShapeError,
} from '../../src/base/errors.js';
import { Device } from '../../src/device/device.js';
import { cudaInfo, type DeviceName, openDevice } from '../../src/device/open.js';
import { devices } from '../reference/devices.js';
import { HostNativeDevice } from '../reference/host-device.js';
import { distance, normals } from '../reference/matrices.js';

describe.each(devices)('blocks on %s', (_, open) => {
  const device = open();

  describe.each(['float32', 'float64'] as const)('%s', (dtype) => {
    const u = dtype === 'float32' ? 2 ** -24 : 2 ** -53;
    const round = (x: Float64Array): Float64Array =>
      dtype === 'float32' ? Float64Array.from(Float32Array.from(x)) : x;
    const [k, d] = [5, 700];
    const values = round(normals(k * d, 1));
    const filled = (): ReturnType<Device['block']> => {
      const block = device.block(dtype, d, k);
      block.write(values);
      return block;
    };
    const row = (r: number): Float64Array => values.slice(r * d, (r + 1) * d);
    const dot = (a: Float64Array, b: Float64Array): number => a.reduce((s, x, i) => s + x * (b[i] as number), 0);

    it('reads what was written, through views too', async () => {
      const block = filled();
      expect(await block.readFloat64()).toEqual(values);
      expect((await block.read()).constructor).toBe(dtype === 'float32' ? Float32Array : Float64Array);
      expect(await block.rows(1, 3).readFloat64()).toEqual(values.slice(d, 3 * d));
      const odd = block.every(1, 2, 2);
      expect(odd.contiguous).toBe(false);
      expect(await odd.readFloat64()).toEqual(Float64Array.from([...row(1), ...row(3)]));
      const middle = block.elements(10, 12);
      expect(await middle.rows(4, 5).readFloat64()).toEqual(row(4).slice(10, 12));
      middle.write(Float64Array.from({ length: 10 }, (_unused, i) => i));
      expect((await block.rows(2, 3).readFloat64()).slice(9, 13)).toEqual(
        Float64Array.of(row(2)[9] as number, 4, 5, row(2)[12] as number),
      );
    });

    it('copies what it writes at once', async () => {
      const block = device.block(dtype, 4, 1);
      const source = Float64Array.of(1, 2, 3, 4);
      block.write(source);
      source.fill(9);
      expect(await block.readFloat64()).toEqual(Float64Array.of(1, 2, 3, 4));
    });

    it('gram, dots and norms are inner products', async () => {
      const block = filled();
      const g = await block.rows(0, 2).gram(block.every(0, 2, 3));
      // roundings of the reference's and the device's partial sums, random in sign: √d of Σ|ab| ≤ 2d each
      const bound = 2 * Math.sqrt(d) * 2 * d * u;
      for (let i = 0; i < 2; i += 1) {
        for (let j = 0; j < 3; j += 1)
          expect(Math.abs((g[i * 3 + j] as number) - dot(row(i), row(2 * j)))).toBeLessThanOrEqual(bound);
      }
      const dots = await block.rows(0, 4).dots(block.rows(1, 5));
      expect(
        distance(
          dots,
          [0, 1, 2, 3].map((i) => dot(row(i), row(i + 1))),
        ),
      ).toBeLessThanOrEqual(bound);
      expect(
        distance(
          await block.norms(),
          [0, 1, 2, 3, 4].map((i) => Math.sqrt(dot(row(i), row(i)))),
        ),
      ).toBeLessThanOrEqual(bound);
    });

    it('combine, addScaled, scale, copyFrom and zero', async () => {
      const block = filled();
      const out = device.block(dtype, d, 2);
      out.zero(); // uninitialised memory may be NaN
      expect(await out.readFloat64()).toEqual(new Float64Array(2 * d));
      out.combine(Float64Array.of(1, 0, -2, 0, 3, 0.5), block.every(0, 2, 3));
      const expected = Float64Array.from({ length: 2 * d }, (_unused, i) => {
        const e = i % d;
        return i < d
          ? (row(0)[e] as number) - 2 * (row(4)[e] as number)
          : 3 * (row(2)[e] as number) + 0.5 * (row(4)[e] as number);
      });
      expect(distance(await out.readFloat64(), expected)).toBeLessThanOrEqual(4 * 16 * u);
      out.addScaled(Float64Array.of(2, -1), block.rows(0, 2), 3);
      const more = expected.map((x, i) => 3 * x + (i < d ? 2 : -1) * (values[i] as number));
      expect(distance(await out.readFloat64(), more)).toBeLessThanOrEqual(8 * 48 * u);
      out.copyFrom(block.rows(3, 5));
      out.scale(Float64Array.of(2, -4));
      expect(await out.readFloat64()).toEqual(
        Float64Array.from([...row(3).map((x) => 2 * x), ...row(4).map((x) => -4 * x)]),
      );
      const many = device.block(dtype, 3, 20); // more vectors than one diagonal combination takes
      many.write(Float64Array.from({ length: 60 }, (_unused, i) => i));
      many.scale(Float64Array.from({ length: 20 }, (_unused, i) => i));
      expect(await many.readFloat64()).toEqual(
        Float64Array.from({ length: 60 }, (_unused, i) => i * Math.floor(i / 3)),
      );
    });

    it('orthogonalize removes the basis and reports what it did', async () => {
      const basis = device.block(dtype, 4, 2);
      basis.write([1, 0, 0, 0, 0, 1, 0, 0]);
      const w = device.block(dtype, 4, 1);
      w.write([3, 4, 0, 12]);
      const { coefficients, before, after } = await w.orthogonalize(basis);
      expect([...coefficients, before, after]).toEqual([3, 4, 13, 12]);
      expect(await w.readFloat64()).toEqual(Float64Array.of(0, 0, 0, 12));
      const nothing = await w.orthogonalize(basis.rows(0, 0));
      expect([nothing.coefficients.length, nothing.before, nothing.after]).toEqual([0, 12, 12]);
    });

    it('random vectors depend on seed and stream alone', async () => {
      const both = device.block(dtype, 100, 2);
      both.fillRandom('normal', 3, 7);
      const one = device.block(dtype, 100, 1);
      one.fillRandom('normal', 3, 8);
      expect((await both.readFloat64()).slice(100)).toEqual(await one.readFloat64());
      one.fillRandom('normal', 4, 8);
      expect((await both.readFloat64()).slice(100)).not.toEqual(await one.readFloat64());
      one.fillRandom('rademacher', 0, 0);
      expect(new Set(await one.readFloat64())).toEqual(new Set([1, -1]));
    });
  });

  it('memory lives as long as a view of it', async () => {
    const fresh = open();
    const block = fresh.block('float64', 1000, 2);
    block.write(new Float64Array(2000).fill(5));
    const view = block.rows(1, 2);
    block.dispose();
    block.dispose();
    expect(fresh.allocatedBytes).toBe(16000);
    expect((await view.read())[0]).toBe(5);
    view.dispose();
    await fresh.finish();
    expect(fresh.allocatedBytes).toBe(0);
    expect(() => view.buffer).toThrow(InternalError);
    expect(() => block.rows(0, 1)).toThrow(InternalError);
  });

  it('refuses what does not fit', () => {
    const a = device.block('float64', 10, 2);
    expect(() => a.write(new Float64Array(19))).toThrow(ShapeError);
    expect(() => a.copyFrom(device.block('float64', 10, 1))).toThrow(ShapeError);
    expect(() => a.copyFrom(device.block('float64', 9, 2))).toThrow(ShapeError);
    expect(() => a.copyFrom(device.block('float32', 10, 2))).toThrow(InputError);
    expect(() => a.copyFrom(open().block('float64', 10, 2))).toThrow(InputError);
    expect(() => a.rows(1, 3)).toThrow(InternalError);
    expect(() => a.every(0, 2, 2)).toThrow(InternalError);
    expect(() => a.elements(5, 11)).toThrow(InternalError);
    expect(() => device.block('float64', 0, 1)).toThrow(InputError);
    expect(() => device.block('float64', 10, 1.5)).toThrow(InputError);
  });

  it('more memory than there is: OutOfMemoryError', () => {
    expect(() => device.block('float64', 2 ** 46, 1)).toThrow(OutOfMemoryError);
  });

  it('throttle leaves a short queue', async () => {
    const a = device.block('float64', 100, 1);
    a.zero();
    for (let i = 0; i < 500; i += 1) a.scale(1);
    await device.throttle(8);
    expect(device.native.pending()).toBeLessThanOrEqual(8);
  });

  it('withToken hands out a token only where there is a signal', () => {
    expect(device.withToken(undefined, (token) => token)).toBeUndefined();
    expect(device.withToken(new AbortController().signal, (token) => token)).toBeDefined();
  });
});

describe('openDevice', () => {
  it('names what runs', async () => {
    await using device = openDevice({ device: 'cpu', threads: 2 });
    expect(device.kind).toBe('cpu');
    expect(device.threads).toBe(2);
    expect(device.name).toMatch(/^cpu \(.*2 threads/);
  });

  it('says what is missing for a GPU, and what is wrong with options', () => {
    if (!cudaInfo().available) {
      expect(() => openDevice({ device: 'cuda' })).toThrow(MissingEnvironmentError);
      expect(() => openDevice({ device: 'cuda' })).toThrow(/CUDA.*choose --device cpu/);
    }
    expect(() => openDevice({ device: 'tpu' as DeviceName })).toThrow(InputError);
    expect(() => openDevice({ threads: -1 })).toThrow(InputError);
  });

  it('errors of the native core become ours', async () => {
    const native = new HostNativeDevice();
    native.limit = 100;
    const small = new Device(native, { kind: 'cpu', threads: 1, name: 'small' });
    expect(() => small.block('float64', 100, 1)).toThrow(OutOfMemoryError);
    await expect(
      small.guardAsync(() => Promise.reject(Object.assign(new Error('stop'), { code: 'ABORTED' }))),
    ).rejects.toThrow(InterruptedError);
    expect(() => checkInterrupted(AbortSignal.abort())).toThrow(InterruptedError);
  });
});
