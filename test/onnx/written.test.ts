/**
 * Files with changed weights beside onnxruntime, for every fixture: only where HESSIA_BENCH_PYTHON names a Python that has
 * onnxruntime.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { NdArray } from '../../src/base/ndarray.js';
import { readNpz, writeNpz } from '../../src/data/index.js';
import { loadOnnx, writeOnnx } from '../../src/onnx/index.js';
import { readOnnxFile } from '../../src/onnx/proto/index.js';
import { difference, runModel } from './run.js';

const python = process.env.HESSIA_BENCH_PYTHON;
const script = `
import sys, numpy, onnxruntime
model, given, out = sys.argv[1:]
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
arrays = numpy.load(given)
kinds = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(int64)": "int64", "tensor(int32)": "int32", "tensor(float16)": "float16", "tensor(bool)": "bool"}
feed = {i.name: arrays[i.name].astype(kinds[i.type]) for i in session.get_inputs() if i.name in arrays}
names = [o.name for o in session.get_outputs()]
numpy.savez(out, **{n: numpy.asarray(y, dtype="float64") for n, y in zip(names, session.run(names, feed))})
`;
const fixtures = join(import.meta.dirname, '../fixtures');
// batch-coupled is there to be refused
const files = (await readdir(fixtures, { recursive: true }))
  .filter((name) => name.endsWith('.onnx') && !name.includes('batch-coupled'))
  .sort();

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hessia-written-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe.skipIf(python === undefined)('onnxruntime runs what was written to the outputs of our executor', () => {
  test.each(files)('%s', async (file) => {
    const before = await loadOnnx(join(fixtures, file));
    const values = new Map(
      before.parameters.map((p) => [p.name, Float64Array.from(p.values(), (v, i) => 0.75 * v + 0.01 * Math.sin(i))]),
    );
    const own = join(folder, file.replaceAll('/', '-').slice(0, -5));
    await mkdir(own);
    const target = join(own, basename(file));
    await writeOnnx(join(fixtures, file), values, target);
    // a file exported for one batch size takes no other in onnxruntime
    const { graph } = (await readOnnxFile(target)).model;
    const stated = new Map(
      graph.inputs.map(({ name, type }) => {
        const extent = type?.kind === 'tensor' ? type.shape?.[0] : undefined;
        return [name, typeof extent === 'number' ? extent : undefined];
      }),
    );
    const inputs = new Map(
      before.inputs.map(({ name, shape, dtype }): [string, NdArray] => {
        const extents = shape.map((d, axis) => (axis === 0 ? stated.get(name) : undefined) ?? d ?? 2);
        const numbers = Float32Array.from({ length: extents.reduce((n, d) => n * d, 1) }, (_, i) =>
          dtype.startsWith('float') ? Math.sin(i) : i % (dtype === 'bool' ? 2 : 3),
        );
        return [name, { dtype: 'float32', shape: extents, data: numbers }];
      }),
    );
    await writeNpz(join(own, 'in.npz'), inputs);
    await promisify(execFile)(python as string, ['-c', script, target, join(own, 'in.npz'), join(own, 'out.npz')]);
    const wanted = await readNpz(join(own, 'out.npz'));
    const found = runModel(await loadOnnx(target), inputs);
    expect(found.size).toBeGreaterThan(0);
    // float32 against float64, through a few dozen sums
    for (const [name, { data }] of found)
      expect(difference(data, wanted.get(name)?.data as Float64Array), name).toBeLessThanOrEqual(2e-5);
  });
});
