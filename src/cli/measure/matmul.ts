/** How fast this machine multiplies matrices: what the speed of products is to be compared with. */
import type { Device } from '../../device/device.js';
import { LoadedProgram } from '../../device/program.js';
import { Graph, ops } from '../../graph/index.js';
import { bytesPerElement, type FloatDType } from '../../program/format.js';
import { compile } from '../../transform/compile.js';
import { median } from './median.js';

const size = 1024;

/** Floating-point operations per second of a 1024 × 1024 × 1024 product through the same path as the models'. */
export async function matmulFlopsPerSecond(device: Device, dtype: FloatDType, repeats = 7): Promise<number> {
  const graph = new Graph();
  const [a, b] = [graph.input('a', [size, size], dtype), graph.input('b', [size, size], dtype)];
  const compiled = compile({
    inputs: new Map([
      [a, { binding: 'a' }],
      [b, { binding: 'b' }],
    ]),
    outputs: [{ node: ops.dot(a, b, 'mk', 'kn', 'mn'), binding: 'c' }],
  });
  const program = new LoadedProgram(device, compiled);
  const matrices = device.block(dtype, size * size, 3);
  const scratch = device.allocate(Math.max(64, compiled.scratchBytes));
  try {
    matrices.fillRandom('normal', 0, 0);
    const at = (i: number): { buffer: typeof scratch; byteOffset: number } => ({
      buffer: matrices.buffer,
      byteOffset: i * size * size * bytesPerElement[dtype],
    });
    const attached = new Map([
      ['a', at(0)],
      ['b', at(1)],
      ['c', at(2)],
      ['scratch', { buffer: scratch, byteOffset: 0 }],
    ]);
    const seconds: number[] = [];
    for (let i = 0; i <= repeats; i += 1) {
      await device.finish();
      const started = performance.now();
      program.run(attached, undefined);
      await device.finish();
      if (i > 0) seconds.push((performance.now() - started) / 1000); // the first run warms up
    }
    return compiled.flops / median(seconds);
  } finally {
    program.dispose();
    matrices.dispose();
    scratch.dispose();
  }
}
