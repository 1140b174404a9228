import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import binding from '#binding';
import { philoxRounds } from '../../src/base/philox.js';
import type { NativeBuffer, NativeDevice } from '../../src/device/native.js';
import { mapOpcodes, opcodes } from '../../src/program/format.js';
import { dense, encode, unary } from './programs.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const addon = join(root, 'native/addon/binding.cjs');

let device: NativeDevice;
beforeEach(() => {
  device = binding.createCpuDevice({ threads: 2 });
});
afterEach(() => device.dispose());

const rows = (buffer: NativeBuffer, length: number, count = 1, offset = 0) => ({
  buffer,
  offset,
  rows: count,
  stride: length,
});
const code = async (work: () => unknown): Promise<string | undefined> => {
  try {
    await work();
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return undefined;
};
async function floats(buffer: NativeBuffer, n: number, offset = 0): Promise<Float32Array> {
  const out = new Float32Array(n);
  await device.read(buffer, offset, out);
  return out;
}

describe('the module', () => {
  test('names its version and what it runs on', () => {
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    expect(binding.version).toBe(manifest.version);
    const info = binding.cpuInfo();
    expect(['baseline', 'avx2', 'avx512']).toContain(info.isa);
    expect(info.cores).toBeGreaterThan(0);
    expect(info.model).not.toBe('');
  });

  test('agrees with format.ts on every number', () => {
    const header = readFileSync(join(root, 'native/program/instruction.h'), 'utf8');
    const numbers = (name: string): Record<string, number> => {
      const body = new RegExp(`enum class ${name} : int \\{([^}]*)\\}`).exec(header)?.[1] ?? '';
      return Object.fromEntries(
        [...body.matchAll(/(\w+) = (\d+)/g)].map((m) => [(m[1] as string).toLowerCase(), Number(m[2])]),
      );
    };
    const lower = (o: Record<string, number>) =>
      Object.fromEntries(Object.entries(o).map(([k, v]) => [k.toLowerCase(), v]));
    expect(numbers('MapOpcode')).toEqual(lower(mapOpcodes));
    expect(numbers('Opcode')).toEqual(lower(opcodes));
    expect(numbers('DType')).toEqual({ float32: 0, float64: 1, int32: 2, bool: 3 });
    expect(numbers('ReduceKind')).toEqual({ none: 0, sum: 1, max: 2, min: 3 });
    expect(numbers('ConvMode')).toEqual({ forward: 0, input: 1, weight: 2 });
    expect(numbers('WindowMode')).toEqual({ sum: 0, sumtranspose: 1, argmax: 2 });
  });

  test('says how to build it where it is missing', () => {
    const folder = mkdtempSync(join(tmpdir(), 'hessia-'));
    copyFileSync(addon, join(folder, 'binding.cjs'));
    try {
      expect(() => createRequire(import.meta.url)(join(folder, 'binding.cjs')) as unknown).toThrow(
        expect.objectContaining({
          code: 'NATIVE_MISSING',
          message: expect.stringContaining('npm run build:native') as string,
        }),
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('buffers', () => {
  test('keep what is written, at any offset, from any view', async () => {
    const buffer = device.allocate(64);
    expect(buffer.byteLength).toBe(64);
    const source = new Float64Array([1, -2.5, Number.NaN, Number.POSITIVE_INFINITY]);
    device.write(buffer, 8, source);
    source.fill(0); // copied already
    device.write(buffer, 40, new DataView(Uint8Array.from([9, 8, 7, 6]).buffer, 1, 2));
    const out = new Float64Array(4);
    await device.read(buffer, 8, out);
    expect([...out]).toEqual([1, -2.5, Number.NaN, Number.POSITIVE_INFINITY]);
    const bytes = new Uint8Array(2);
    await device.read(buffer, 40, bytes);
    expect([...bytes]).toEqual([8, 7]);
    await device.read(device.allocate(0), 0, new Uint8Array(0));
  });

  test('are counted and freed by dispose, after queued work', async () => {
    const buffer = device.allocate(1 << 20);
    expect(device.allocatedBytes()).toBe(1 << 20);
    device.random('float32', 1 << 18, rows(buffer, 1 << 18), 'normal', 1, 1);
    const first = floats(buffer, 4);
    buffer.dispose();
    buffer.dispose();
    expect((await first)[0]).not.toBeNaN();
    await device.drained(0);
    expect(device.allocatedBytes()).toBe(0);
    expect(await code(() => device.read(buffer, 0, new Uint8Array(1)))).toBe('INVALID_ARGUMENT');
  });

  test('are collected when forgotten', async () => {
    setFlagsFromString('--expose_gc');
    const collect = runInNewContext('gc') as () => void;
    for (let i = 0; i < 50; i += 1) device.allocate(1 << 20);
    for (let i = 0; i < 50 && device.allocatedBytes() > 0; i += 1) {
      await sleep(2);
      collect();
    }
    expect(device.allocatedBytes()).toBeLessThan(5 << 20);
  });

  test('a target that is given away while it is read is an error, not a crash', async () => {
    const buffer = device.allocate(400);
    device.write(buffer, 0, new Float32Array(100));
    const target = new Float32Array(100);
    const reading = device.read(buffer, 0, target);
    structuredClone(target.buffer, { transfer: [target.buffer] });
    expect(await code(() => reading)).toBe('INVALID_ARGUMENT');
  });
});

test('bad arguments throw at once, with a code', async () => {
  const buffer = device.allocate(400);
  const other = binding.createCpuDevice({ threads: 1 });
  const bad: (() => unknown)[] = [
    () => device.allocate(-1),
    () => device.allocate(1.5),
    () => device.write(buffer, 396, new Float64Array(1)),
    () => device.write({} as NativeBuffer, 0, new Uint8Array(1)),
    () => device.write(device as unknown as NativeBuffer, 0, new Uint8Array(1)),
    () => other.write(buffer, 0, new Uint8Array(1)),
    () => device.read(buffer, 0, [] as unknown as Uint8Array),
    () => device.load(new Float64Array(3), []),
    () =>
      device.load(
        Float64Array.from({ length: 100 }, () => Number.NaN),
        [],
      ),
    () => device.load([] as unknown as Float64Array, []),
    () => device.run({} as never, [], []),
    () => device.gram('float16' as 'float32', 1, rows(buffer, 1), rows(buffer, 1)),
    () => device.gram('float32', 101, rows(buffer, 101), rows(buffer, 1)),
    () => device.random('float32', 1, rows(buffer, 1), 'cauchy' as 'normal', 1, 1),
    () => device.random('float32', 1, rows(buffer, 1), 'normal', -1, 1),
    () => device.combine('float32', 2, new Float64Array(3), rows(buffer, 2), 0, rows(buffer, 2, 1, 4)),
    () => binding.createCpuDevice({ threads: -1 }),
    () => binding.createCpuDevice(undefined as unknown as { threads: number }),
  ];
  for (const call of bad) expect(await code(call), String(call)).toBe('INVALID_ARGUMENT');
  expect(await code(() => device.allocate(2 ** 50))).toBe('OUT_OF_MEMORY');
  expect(() => device.allocate(2 ** 50)).toThrow(/1125899906842624 bytes .* available/);
  other.dispose();
  expect(await code(() => other.random('float32', 1, rows(other.allocate(4), 1), 'normal', 1, 1))).toBe(
    'INVALID_ARGUMENT',
  );
});

test('programs run, again and again, and can be profiled', async () => {
  const n = 1000;
  const program = device.load(
    encode(
      [
        ['float32', n, false],
        ['float32', n, true],
      ],
      [unary('tanh', n)],
    ),
    ['squash'],
  );
  const x = device.allocate(4 * n + 8),
    y = device.allocate(4 * n);
  const values = Float32Array.from({ length: n }, (_, i) => Math.sin(i) * 4);
  device.write(x, 8, values);
  for (let i = 0; i < 10; i += 1) device.run(program, [x, y], [8, 0]);
  const seconds = await device.profile(program, [x, y], [8, 0]);
  expect(seconds).toHaveLength(1);
  expect(seconds[0]).toBeGreaterThan(0);
  const out = await floats(y, n);
  for (let i = 0; i < n; i += 1)
    expect(Math.abs((out[i] as number) - Math.tanh(values[i] as number))).toBeLessThanOrEqual(3e-7);
  program.dispose();
  expect(await code(() => device.run(program, [x, y], [8, 0]))).toBe('INVALID_ARGUMENT');
});

test('a failure poisons what depends on it, keeps its cause, and is healed by writing', async () => {
  const take = device.load(
    encode(
      [
        ['float32', 4, false],
        ['int32', 2, false],
        ['float32', 2, true],
      ],
      [
        {
          kind: 'take',
          x: dense(0, 'float32', [1, 4, 1]),
          index: dense(1, 'int32', [2]),
          y: dense(2, 'float32', [1, 2, 1]),
        },
      ],
    ),
    ['lookup'],
  );
  const negate = device.load(
    encode(
      [
        ['float32', 2, false],
        ['float32', 2, true],
      ],
      [unary('neg', 2)],
    ),
    [],
  );
  const [x, index, y, z] = [device.allocate(16), device.allocate(8), device.allocate(8), device.allocate(8)];
  device.write(x, 0, new Float32Array([1, 2, 3, 4]));
  device.write(index, 0, new Int32Array([3, 4]));
  device.run(take, [x, index, y], [0, 0, 0]);
  device.run(negate, [y, z], [0, 0]);
  await expect(device.read(z, 0, new Float32Array(2))).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: 'lookup: index 4 is outside 0 … 3',
  });
  expect(await code(() => device.gram('float32', 2, rows(y, 2), rows(y, 2)))).toBe('INVALID_INPUT');
  expect([...(await floats(x, 4))]).toEqual([1, 2, 3, 4]);
  device.write(index, 0, new Int32Array([3, 0]));
  device.run(take, [x, index, y], [0, 0, 0]);
  device.run(negate, [y, z], [0, 0]);
  expect([...(await floats(z, 2))]).toEqual([-4, -1]);
});

test('a token stops a program between instructions', async () => {
  const n = 1 << 18;
  const program = device.load(
    encode(
      [
        ['float32', n, false],
        ['float32', n, true],
      ],
      Array.from({ length: 5000 }, () => unary('tanh', n)),
    ),
    [],
  );
  const x = device.allocate(4 * n),
    y = device.allocate(4 * n);
  device.random('float32', n, rows(x, n), 'normal', 1, 1);
  const token = device.token();
  device.run(program, [x, y], [0, 0], token);
  const profile = device.profile(program, [x, y], [0, 0], token);
  expect(device.pending()).toBeGreaterThan(0);
  setTimeout(() => token.cancel(), 5);
  const aborted = await Promise.allSettled([device.read(y, 0, new Float32Array(1)), profile]);
  for (const outcome of aborted) expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'ABORTED' } });
  await device.drained(0);
  expect(device.pending()).toBe(0);
});

test('disposing the device fails what waits', async () => {
  const n = 1 << 18;
  const program = device.load(
    encode(
      [
        ['float32', n, false],
        ['float32', n, true],
      ],
      Array.from({ length: 5000 }, () => unary('tanh', n)),
    ),
    [],
  );
  const x = device.allocate(4 * n),
    y = device.allocate(4 * n);
  device.run(program, [x, y], [0, 0]);
  const reading = device.read(y, 0, new Float32Array(1));
  device.dispose();
  expect(await code(() => reading)).toBe('ABORTED');
  expect(await code(() => device.write(x, 0, new Uint8Array(1)))).toBe('INVALID_ARGUMENT');
});

describe('vector operations', () => {
  test('random rows are Philox as philox.ts has it', async () => {
    const n = 37,
      seed = 0x1234_5678_9abc;
    const buffer = device.allocate(2 * n * 8);
    device.random('float64', n, rows(buffer, n, 2), 'uniform', seed, 41);
    const out = new Float64Array(2 * n);
    await device.read(buffer, 0, out);
    for (let r = 0; r < 2; r += 1) {
      for (let e = 0; e < n; e += 1) {
        const counter = Uint32Array.from([Math.floor(e / 4), 0, 41 + r, 0]);
        philoxRounds(counter, seed >>> 0, Math.floor(seed / 2 ** 32));
        expect(out[r * n + e]).toBe(((counter[e % 4] as number) + 0.5) / 2 ** 32);
      }
    }
  });

  test('gram, combine and orthogonalize', async () => {
    const n = 5003;
    const v = device.allocate(3 * n * 8),
      w = device.allocate(n * 8);
    device.random('float64', n, rows(v, n, 3), 'normal', 7, 0);
    device.random('float64', n, rows(w, n), 'normal', 7, 9);
    for (let i = 0; i < 3; i += 1) {
      const out = await device.orthogonalize('float64', n, rows(v, n, i), rows(v, n, 1, i * n));
      expect(out).toHaveLength(i + 2);
      device.combine(
        'float64',
        n,
        Float64Array.of(1 / (out[i + 1] as number) - 1),
        rows(v, n, 1, i * n),
        1,
        rows(v, n, 1, i * n),
      );
    }
    const g = await device.gram('float64', n, rows(v, n, 3), rows(v, n, 3));
    for (let i = 0; i < 9; i += 1) expect(Math.abs((g[i] as number) - (i % 4 === 0 ? 1 : 0))).toBeLessThan(1e-14);
    const before = await device.gram('float64', n, rows(v, n, 3), rows(w, n));
    const out = await device.orthogonalize('float64', n, rows(v, n, 3), rows(w, n));
    for (let i = 0; i < 3; i += 1) expect(Math.abs((out[i] as number) - (before[i] as number))).toBeLessThan(1e-12);
    const after = await device.gram('float64', n, rows(v, n, 3), rows(w, n));
    for (const c of after) expect(Math.abs(c)).toBeLessThan(1e-13);
  });
});

describe('the event loop', () => {
  test('is free while the device works', async () => {
    const n = 1 << 20;
    const program = device.load(
      encode(
        [
          ['float32', n, false],
          ['float32', n, true],
        ],
        Array.from({ length: 200 }, () => unary('tanh', n)),
      ),
      [],
    );
    const x = device.allocate(4 * n),
      y = device.allocate(4 * n);
    device.random('float32', n, rows(x, n), 'normal', 1, 1);
    device.run(program, [x, y], [0, 0]);
    const delays: number[] = [];
    while (device.pending() > 0) {
      const start = performance.now();
      await sleep(1);
      delays.push(performance.now() - start);
    }
    delays.sort((a, b) => a - b);
    expect(delays.length).toBeGreaterThan(5);
    expect(delays[Math.floor(delays.length / 2)] as number).toBeLessThan(20); // the machine may be shared
  });

  test('memory stays level over many jobs', async () => {
    const n = 1 << 16;
    const program = device.load(
      encode(
        [
          ['float32', n, false],
          ['float32', n, true],
        ],
        [unary('neg', n)],
      ),
      [],
    );
    const round = async (): Promise<void> => {
      const x = device.allocate(4 * n),
        y = device.allocate(4 * n);
      device.write(x, 0, new Float32Array(n));
      device.run(program, [x, y], [0, 0]);
      await floats(y, 16);
      x.dispose();
      y.dispose();
    };
    for (let i = 0; i < 200; i += 1) await round();
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 2000; i += 1) await round();
    expect(device.allocatedBytes()).toBe(0);
    expect(process.memoryUsage().rss - before).toBeLessThan(150e6); // 2000 rounds moved 1 GB
  });
});

describe('environments', () => {
  const script = `
    const { parentPort, workerData } = require('node:worker_threads');
    const binding = require(${JSON.stringify(addon)});
    const device = binding.createCpuDevice({ threads: 2 });
    const n = 1 << 18;
    const program = device.load(workerData, []);
    const x = device.allocate(4 * n), y = device.allocate(4 * n);
    device.random('float32', n, { buffer: x, offset: 0, rows: 1, stride: n }, 'normal', 1, 1);
    device.run(program, [x, y], [0, 0]);
    const out = new Float32Array(1);
    device.read(y, 0, out).then(() => parentPort.postMessage(out[0]), () => {});
    parentPort.postMessage('started');`;
  const program = (length: number): Float64Array =>
    encode(
      [
        ['float32', 1 << 18, false],
        ['float32', 1 << 18, true],
      ],
      Array.from({ length }, () => unary('tanh', 1 << 18)),
    );

  test('workers have their own devices', async () => {
    const results = await Promise.all(
      [1, 2, 3].map(
        () =>
          new Promise((resolve, reject) => {
            const worker = new Worker(script, { eval: true, workerData: program(20) });
            worker.on('error', reject);
            worker.on('message', (m) => {
              if (m !== 'started') resolve(m);
            });
          }),
      ),
    );
    expect(new Set(results).size).toBe(1);
  });

  test('a worker that is ended in the middle of its work goes quietly', async () => {
    for (let i = 0; i < 5; i += 1) {
      const worker = new Worker(script, { eval: true, workerData: program(20000) });
      await new Promise((resolve) => {
        worker.once('message', resolve);
      });
      await sleep(3 * i);
      expect(await worker.terminate()).toBe(1);
    }
  });

  test('a process ends by itself, or by exit() in the middle of work', () => {
    const run = (end: string): void => {
      const source = script
        .replace(
          /const .*worker_threads.*\n/,
          `const workerData = new Float64Array(${JSON.stringify([...program(50)])});\n`,
        )
        .replace('parentPort.postMessage(out[0])', '{}')
        .replace("parentPort.postMessage('started')", end);
      execFileSync(process.execPath, ['-e', source], { timeout: 20_000, stdio: 'pipe' });
    };
    run('');
    run('process.exit(0)');
    run('device.dispose()');
  });
});
