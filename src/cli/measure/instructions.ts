/** Floating-point operations of one instruction: multiply-adds ×2 of products and convolutions, 0 for all else. */
import type { Instruction } from '../../program/format.js';

export function flopsOf(instruction: Instruction): number {
  switch (instruction.kind) {
    case 'dot': {
      const extents = new Map<number, number>();
      const note = (labels: readonly number[], shape: readonly number[]): void =>
        labels.forEach((label, i) => {
          extents.set(label, shape[i] as number);
        });
      note(instruction.labelsA, instruction.a.shape);
      note(instruction.labelsB, instruction.b.shape);
      return 2 * [...extents.values()].reduce((n, d) => n * d, 1);
    }
    case 'conv': {
      // every weight meets every output position once: y [k, n, out, …positions], w [k, out, in/groups, …window]
      const [, , ...weights] = instruction.w.shape;
      return 2 * [...weights, ...instruction.y.shape].reduce((n, d) => n * d, 1);
    }
    default:
      return 0;
  }
}
