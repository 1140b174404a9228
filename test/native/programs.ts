/** Small programs for the tests of the native core. */
import type { Instruction, MapOpcode, View } from '../../src/program/format.js';
import { bytesPerElement, encodeProgram } from '../../src/program/format.js';

export function dense(binding: number, dtype: View['dtype'], shape: readonly number[], offset = 0): View {
  const strides = shape.map((_, d) => shape.slice(d + 1).reduce((a, b) => a * b, 1));
  return { binding, dtype, offset, shape, strides };
}

/** y ← op(x), float32, bindings x and y of n elements. */
export function unary(op: MapOpcode, n: number, from = 0, to = 1): Instruction {
  return {
    kind: 'map',
    compute: 'float32',
    shape: [n],
    reducedAxes: [],
    inputs: [dense(from, 'float32', [n])],
    code: [{ op, a: 0 }],
    outputs: [{ register: 1, view: dense(to, 'float32', [n]), reduce: 'none', accumulate: false }],
  };
}

/** Bindings are given as [dtype, elements, written]. */
export function encode(
  bindings: readonly [View['dtype'], number, boolean][],
  instructions: readonly Instruction[],
): Float64Array {
  return encodeProgram({
    bindings: bindings.map(([dtype, n, written], i) => ({ name: `b${i}`, bytes: n * bytesPerElement[dtype], written })),
    instructions,
  });
}
