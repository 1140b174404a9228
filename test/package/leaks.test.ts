/**
 * What is made and disposed of 100,000 times, and what is forgotten, must not stay. Run in a process of its own with
 * the collector at hand; memory is the process's resident set and the device's own count of live bytes.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

interface Use {
  /** resident after half of the rounds, and after all: by then the heap has found its size */
  early: number;
  late: number;
  /** how much JavaScript's heap grew in the second half */
  heap: number;
  /** live bytes on the device at the end */
  device: number;
}
/** Runs `round` — statements that see hessia, device and i — `rounds` times. */
function use(prepare: string, round: string, rounds: number): Use {
  const program = `
    import * as hessia from 'hessia';
    import { setTimeout } from 'node:timers/promises';
    const device = hessia.openDevice({ device: 'cpu', threads: 1 });
    ${prepare}
    const resident = async () => {
      for (let i = 0; i < 5; i++) { gc(); await setTimeout(5); }
      return process.memoryUsage();
    };
    let early;
    for (let i = 0; i < ${rounds}; i++) {
      if (i === ${rounds / 2}) early = await resident();
      { ${round} }
      if (i % 1000 === 999) await setTimeout(0);
    }
    await device.finish();
    const late = await resident();
    console.log(JSON.stringify({ early: early.rss, late: late.rss, heap: late.heapUsed - early.heapUsed, device: device.allocatedBytes }));
  `;
  return JSON.parse(
    execFileSync(process.execPath, ['--expose-gc', '--input-type=module', '--eval', program], {
      cwd: root,
      encoding: 'utf8',
    }),
  ) as Use;
}

/** Below 100 bytes for each of 100,000 rounds, which is less than any forgotten handle takes. */
const slack = 8 * 2 ** 20;
function flat({ early, late, device }: Use): void {
  expect(device).toBe(0);
  expect(late - early).toBeLessThanOrEqual(slack);
}

describe('memory stays flat over', () => {
  test('100,000 blocks made and disposed of', () => {
    flat(use('', `device.block('float32', 100, 3).dispose();`, 200_000));
  });
  test('100,000 blocks forgotten', () => {
    flat(use('', `device.block('float32', 100, 3);`, 200_000));
  });
  test('forgotten blocks of 8 MB, far more in sum than the machine has', () => {
    // collected only if the collector is told how large they are
    const { late } = use('', `device.block('float32', 1_000_000, 2).zero();`, 4_000);
    expect(late).toBeLessThanOrEqual(2 ** 31);
  });
  test('data sets that are forgotten are closed, without a word', () => {
    const program = `
      import * as hessia from 'hessia';
      import { readdirSync } from 'node:fs';
      import { setTimeout } from 'node:timers/promises';
      const descriptors = () => readdirSync('/proc/self/fd').length;
      process.on('warning', (w) => { console.error(String(w)); process.exit(1); });
      const before = descriptors();
      for (let i = 0; i < 50; i++) {
        const data = await hessia.openDataset(${JSON.stringify(join(root, 'examples/fashion-mnist-test.npz'))});
        await data.batch(0, 1);
      }
      const open = descriptors();
      for (let i = 0; i < 10; i++) { gc(); await setTimeout(10); }
      console.log(JSON.stringify([open - before, descriptors() - before]));
    `;
    const output = execFileSync(process.execPath, ['--expose-gc', '--input-type=module', '--eval', program], {
      cwd: root,
      encoding: 'utf8',
    });
    const [open, left] = JSON.parse(output) as [number, number];
    expect(open).toBeGreaterThan(0);
    // the last one may still be held by the frame of the loop
    expect(left).toBeLessThanOrEqual(1);
  });
  test('100,000 signals', () => {
    flat(use('', `device.withToken(new AbortController().signal, () => 0);`, 200_000));
  });
  test('100 operators, half of them forgotten', () => {
    const prepare = `
      const model = await hessia.loadModel(${JSON.stringify(join(root, 'examples/cnn.onnx'))});
      const data = await hessia.openDataset(${JSON.stringify(join(root, 'examples/fashion-mnist-test.npz'))});
      const f = hessia.meanLoss(model, hessia.crossEntropy(), data, { samples: 4 });`;
    const round = `
      const H = await hessia.hessian(f, { device });
      (await H.apply(new Float32Array(H.columns))); if (i % 2) H.dispose();`;
    const { early, late, heap, device } = use(prepare, round, 200);
    expect(device).toBe(0);
    expect(heap).toBeLessThanOrEqual(2 * 2 ** 20);
    // each holds 14 MB on the device, those of fifty 700 MB
    expect(late - early).toBeLessThanOrEqual(2 ** 28);
  });
});
