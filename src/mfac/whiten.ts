/**
 * V = T·G for a lower triangular T (m × m, on the host) and gradients G (m × d), in the gradients' type.
 *
 * T's rows in panels, each times those rows of G that it needs: dm²(1 + 1/p) flops for p panels, as products of matrices.
 * Float32 gradients are multiplied and summed in float32: about u√m·(|T|·|G|) of error, at most u(m + 1) times it, u = 2⁻²⁴,
 * where G itself is known to u|G|.
 */
import type { Block } from '../device/block.js';
import { LoadedProgram } from '../device/program.js';
import { Graph, ops } from '../graph/index.js';
import { compile, type OutputPlacement } from '../transform/compile.js';

/** Rows of a panel, about, and panels at the most: more of them save less than their smaller products cost. */
const [panelRows, mostPanels] = [128, 4];

/** v (m × d, contiguous) ← T·G, T row-major. */
export function whiten(matrix: Float64Array, gradients: Block, v: Block): void {
  const { device, dtype, dimension: d, count: m, stride } = gradients;
  const graph = new Graph();
  const t = graph.input('factor', [m, m], dtype);
  const g = graph.input('gradients', [m, d], dtype);
  const panels = Math.min(mostPanels, Math.ceil(m / panelRows));
  const outputs = Array.from({ length: panels }, (_, p): OutputPlacement => {
    const [from, to] = [p, p + 1].map((i) => Math.round((i * m) / panels)) as [number, number];
    const node = ops.dot(ops.slice(t, [from, 0], [to - from, to]), ops.slice(g, [0, 0], [to, d]), 'ik', 'kj', 'ij');
    return { node, binding: 'v', offset: from * d };
  });
  const program = new LoadedProgram(
    device,
    compile({
      inputs: new Map([
        [t, { binding: 'factor' }],
        [g, { binding: 'gradients', strides: [stride, 1] }],
      ]),
      outputs,
    }),
  );
  const factor = device.block(dtype, m * m, 1);
  const scratch = device.block('float64', Math.max(8, Math.ceil(program.source.scratchBytes / 8)), 1);
  try {
    factor.write(matrix);
    program.run(
      new Map([
        ['factor', factor],
        ['gradients', gradients],
        ['v', v],
        ['scratch', scratch],
      ]),
      undefined,
    );
  } finally {
    program.dispose();
    factor.dispose();
    scratch.dispose();
  }
}
