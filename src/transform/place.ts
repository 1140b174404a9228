import type { Node } from '../graph/index.js';
import { isOp, sizeOf } from '../graph/index.js';
import type { Target } from './lower.js';
import type { Window } from './views.js';
import { reshaped, sliced } from './views.js';

const views = new Set<string>([
  'reshape',
  'transpose',
  'broadcast',
  'slice',
  'reverse',
  'iota',
  'input',
  'constant',
  'fill',
]);

/** The windows of a concat's parts within it. */
export function partsOf(node: Node<'concat'>, whole: Window): Window[] {
  const { axis } = node.attributes;
  let at = 0;
  return node.inputs.map((part) => {
    const start = at;
    at += part.shape[axis] as number;
    return sliced(
      whole,
      part.shape.map((_, i) => (i === axis ? start : 0)),
      part.shape,
      part.shape.map(() => 1),
    );
  });
}

/**
 * Lets what is put together be computed in place: a part of a concat gets its window in the concat as a target, and is
 * not copied there. The steps of an unrolled loop, the gates of a cell and the heads of an attention meet like this.
 * From the last concat to the first, so that a concat within a concat lies in the outer one.
 *
 * @param targets where results go; extended
 * @param free whether a node may be computed anywhere (it is wanted nowhere else, and is computed at all)
 */
export function placeParts(
  order: readonly Node[],
  targets: Map<Node, Target>,
  free: (n: Node) => boolean,
  scratch: (n: Node) => Window,
): void {
  for (const node of [...order].reverse()) {
    if (!isOp(node, 'concat') || sizeOf(node.shape) === 0) continue;
    const known = targets.get(node);
    if (known ? known.accumulate : !free(node)) continue;
    const whole = known?.window ?? scratch(node);
    const windows = partsOf(node, whole);
    node.inputs.forEach((part, i) => {
      let home: Window | null = windows[i] as Window;
      let source = part;
      while (home && isOp(source, 'reshape') && free(source)) {
        source = source.inputs[0] as Node;
        home = reshaped(home, source.shape);
      }
      if (!home || views.has(source.op) || !free(source) || targets.has(source)) return;
      targets.set(source, { window: home, accumulate: false });
      targets.set(node, { window: whole, accumulate: false });
    });
  }
}
