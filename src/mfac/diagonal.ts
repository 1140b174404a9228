/**
 * Column sums of squares of R·G for a small matrix R (m × m) and gradients G (m × d):  y_j = Σᵢ ((R·G)ᵢⱼ)².
 *
 * With R = L⁻¹, L the Cholesky factor of A, the diagonal of F⁻¹ is (1 − y_j)/λ: a difference that cancels where y_j is
 * close to 1. So everything here is float64 whatever the storage. Cost: 2dm² flops, one pass over G, tile by tile.
 */
import type { Block } from '../device/block.js';
import { LoadedProgram } from '../device/program.js';
import { Graph, ops } from '../graph/index.js';
import { bytesPerElement } from '../program/format.js';
import { compile } from '../transform/compile.js';

/** Elements of R·G held at once: 32 MiB. */
const tileElements = 2 ** 22;

/** y, d numbers, for R row-major with as many columns as G has vectors. */
export async function columnSquares(matrix: Float64Array, gradients: Block): Promise<Float64Array> {
  const { device, dtype, dimension, count } = gradients;
  const tile = Math.min(dimension, Math.max(1, Math.floor(tileElements / count)));
  const factor = device.block('float64', matrix.length, 1);
  const result = device.block('float64', dimension, 1);
  const programs: LoadedProgram[] = [];
  const scratches: Block[] = [];
  try {
    factor.write(matrix);
    const build = (width: number): { program: LoadedProgram; scratch: Block } => {
      const program = tileProgram(gradients, width);
      programs.push(program);
      const scratch = device.block('float64', Math.max(8, Math.ceil(program.source.scratchBytes / 8)), 1);
      scratches.push(scratch);
      return { program, scratch };
    };
    const whole = build(tile);
    for (let from = 0; from < dimension; from += tile) {
      const width = Math.min(tile, dimension - from);
      const { program, scratch } = width === tile ? whole : build(width);
      program.run(
        new Map([
          ['factor', { buffer: factor.buffer, byteOffset: 0 }],
          ['gradients', { buffer: gradients.buffer, byteOffset: gradients.byteOffset + from * bytesPerElement[dtype] }],
          ['result', { buffer: result.buffer, byteOffset: from * 8 }],
          ['scratch', { buffer: scratch.buffer, byteOffset: 0 }],
        ]),
        undefined,
      );
      await device.throttle();
    }
    return await result.readFloat64();
  } finally {
    for (const p of programs) p.dispose();
    for (const b of [factor, result, ...scratches]) b.dispose();
  }
}

function tileProgram(gradients: Block, width: number): LoadedProgram {
  const { device, dtype, count, stride } = gradients;
  const graph = new Graph();
  const r = graph.input('factor', [count, count], 'float64');
  const g = graph.input('gradients', [count, width], dtype);
  const product = ops.dot(r, dtype === 'float64' ? g : ops.cast(g, 'float64'), 'ik', 'kj', 'ij');
  return new LoadedProgram(
    device,
    compile({
      inputs: new Map([
        [r, { binding: 'factor' }],
        [g, { binding: 'gradients', strides: [stride, 1] }],
      ]),
      outputs: [{ node: ops.reduceSum(ops.mul(product, product), [0]), binding: 'result' }],
    }),
  );
}
