/** Lists of tensors: the exporters write them for split, stack and unbind. */
import { InputError } from '../../base/errors.js';
import { ops } from '../../graph/index.js';
import type { Op, OpTable } from '../op.js';
import { computed, Known, type Sequence, type Tensor } from '../values.js';
import { cut, evenSizes } from './slicing.js';

const sequence = (elements: readonly Tensor[]): Sequence => ({ kind: 'sequence', elements });

function at(op: Op, i: number, count: number): number {
  const given = op.scalar(i, 'position'),
    index = given < 0 ? given + count : given;
  if (!(index >= 0 && index <= count)) throw new InputError(`position ${given} is outside a sequence of ${count}`);
  return index;
}

function splitToSequence(op: Op): Sequence {
  const x = op.x(0),
    axis = ops.normaliseAxis(op.int('axis', 0), x.shape.length),
    extent = x.shape[axis] as number;
  const given = op.hasInput(1) ? op.constant(1, 'split') : undefined;
  const sizes = !given
    ? evenSizes(extent, 1)
    : given.shape.length === 0
      ? evenSizes(extent, op.scalar(1, 'split'))
      : op.list(1, 'split');
  const parts = cut(x, axis, sizes);
  const flat = !given && op.int('keepdims', 1) === 0;
  return sequence(
    parts.map((p) =>
      computed(
        flat
          ? ops.reshape(
              p,
              p.shape.filter((_, i) => i !== axis),
            )
          : p,
      ),
    ),
  );
}

export const sequenceOps: OpTable = {
  // what may be missing is known to be there or not
  Optional: {
    limits: 'with a value',
    refuse: (node) => (node.hasInput(0) ? undefined : 'without a value'),
    build: (op) => op.value(0),
    neverFold: true,
  },
  OptionalGetElement: { build: (op) => op.value(0), neverFold: true },
  OptionalHasElement: {
    build: (op) => new Known([], 'bool', Uint8Array.of(op.hasInput(0) ? 1 : 0)),
    neverFold: true,
  },
  SplitToSequence: { build: splitToSequence, neverFold: true },
  SequenceConstruct: { build: (op) => sequence(op.values.map((_, i) => op.input(i))), neverFold: true },
  SequenceEmpty: { build: () => sequence([]), neverFold: true },
  SequenceAt: {
    build: (op) => {
      const { elements } = op.sequence(0),
        index = at(op, 1, elements.length);
      const element = elements[index];
      if (!element) throw new InputError(`position ${index} is outside a sequence of ${elements.length}`);
      return element;
    },
  },
  SequenceLength: { build: (op) => Known.integers([op.sequence(0).elements.length], []) },
  SequenceInsert: {
    build: (op) => {
      const { elements } = op.sequence(0),
        index = op.hasInput(2) ? at(op, 2, elements.length) : elements.length;
      return sequence([...elements.slice(0, index), op.input(1), ...elements.slice(index)]);
    },
  },
  SequenceErase: {
    build: (op) => {
      const { elements } = op.sequence(0),
        index = op.hasInput(1) ? at(op, 1, elements.length) : elements.length - 1;
      return sequence(elements.filter((_, i) => i !== index));
    },
  },
  ConcatFromSequence: {
    build: (op) => {
      const parts = op.sequence(0).elements.map((t) => t.node()),
        stack = op.int('new_axis', 0) !== 0;
      const rank = (parts[0]?.shape.length ?? 0) + (stack ? 1 : 0),
        axis = ops.normaliseAxis(op.int('axis', 0), rank);
      return ops.concat(stack ? parts.map((p) => ops.expandDims(p, axis)) : parts, axis);
    },
    neverFold: true,
  },
};
