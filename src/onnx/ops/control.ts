/** Branches and loops whose conditions and trip counts are known when the model is imported; loops are unrolled. */
import { InputError } from '../../base/errors.js';
import { ops, sizeOf } from '../../graph/index.js';
import { NotConstant, type Op, type OpTable, type Result, TooLong } from '../op.js';
import type { OnnxGraph } from '../proto/index.js';
import { checkTable, computed, Known, type Tensor, type Value } from '../values.js';

/** a loop may not make us unroll for ever */
const tripLimit = 1 << 14;

function bodyOf(op: Op, inputs: number): OnnxGraph {
  const body = op.subgraph('body');
  if (!body) throw new InputError('lacks its body');
  if (body.inputs.length !== inputs)
    throw new InputError(`its body takes ${body.inputs.length} inputs where ${inputs} are given`);
  return body;
}
const truth = (value: Value | undefined, what: string): boolean => {
  if (value?.kind !== 'tensor') throw new InputError(`${what} is no tensor`);
  if (sizeOf(value.shape) !== 1) throw new InputError(`${what} should be one truth value, has shape [${value.shape}]`);
  if (!value.known)
    throw new NotConstant(
      `${what} is computed from data or parameters; only constant ones are supported`,
      value.node(),
    );
  return value.known().data[0] !== 0;
};
const tensorOf = (value: Value | undefined, what: string): Tensor => {
  if (value?.kind !== 'tensor') throw new InputError(`${what} should be a tensor`);
  return value;
};

const folded = (t: Tensor): boolean => t.folds && t.known !== undefined;

/** tensors of one shape along a new axis */
function stacked(parts: readonly Tensor[], axis: number): Result {
  const first = parts[0] as Tensor;
  if (axis === 0 && parts.every(folded)) {
    const known = parts.map((t) => (t.known as () => Known)());
    const one = known[0] as Known,
      size = one.data.length;
    if (known.some((k) => k.data.length !== size || k.shape.join() !== one.shape.join()))
      throw new InputError('its steps give results of different shapes');
    checkTable(size * parts.length, 'what its steps give');
    const data = new Float64Array(size * parts.length);
    known.forEach((k, i) => {
      data.set(k.data, i * size);
    });
    return new Known([parts.length, ...first.shape], one.dtype, data);
  }
  const at = ops.normaliseAxis(axis, first.shape.length + 1);
  return ops.concat(
    parts.map((t) => ops.expandDims(t.node(), at)),
    at,
  );
}
/** part i along an axis, which is dropped */
function element(op: Op, x: Tensor, axis: number, i: number): Tensor {
  const rest = x.shape.filter((_, a) => a !== axis);
  if (axis === 0 && folded(x)) {
    const { data, dtype } = (x.known as () => Known)(),
      size = sizeOf(rest);
    return op.tensorOf(new Known(rest, dtype, data.slice(i * size, (i + 1) * size)));
  }
  const from = x.shape.map((_, a) => (a === axis ? i : 0)),
    size = x.shape.map((d, a) => (a === axis ? 1 : d));
  return computed(ops.reshape(ops.slice(x.node(), from, size), rest));
}
/** what a loop that never ran gives for a result of each step */
function empty(op: Op, body: OnnxGraph, output: number): Result {
  const type = body.outputs[output]?.type;
  const dims = type?.kind === 'tensor' ? type.shape : undefined;
  if (type?.kind !== 'tensor' || !dims || dims.some((d) => typeof d !== 'number'))
    throw new InputError('runs no times, and the shape of what its steps would give is not stated');
  return op.graph.fill(0, [0, ...(dims as number[])], op.typeOf(type.elementType));
}

function loop(op: Op): Result[] {
  const body = bodyOf(op, op.count),
    state = op.count - 2;
  const trips = op.hasInput(0) ? op.scalar(0, 'the trip count') : Infinity;
  let running = op.hasInput(1) ? truth(op.value(1), 'the condition') : true;
  let carried: Value[] = Array.from({ length: state }, (_, i) => op.value(2 + i));
  const perStep: Tensor[][] = body.outputs.slice(1 + state).map(() => []);
  for (let i = 0; running && i < trips; i++) {
    if (i >= tripLimit) throw new TooLong(`runs more than ${tripLimit} times, which is too much to unroll`);
    const condition = op.tensorOf(new Known([], 'bool', Uint8Array.of(1)));
    const results = op.runSubgraph(body, [op.tensorOf(Known.integers([i], [])), condition, ...carried]);
    running = truth(results[0], 'the condition');
    carried = results.slice(1, 1 + state);
    perStep.forEach((list, k) => {
      list.push(tensorOf(results[1 + state + k], `result ${k} of a step`));
    });
  }
  return [
    ...carried,
    ...perStep.map((list, k) => (list.length > 0 ? stacked(list, 0) : empty(op, body, 1 + state + k))),
  ];
}

function scan(op: Op): Result[] {
  const sequences = op.int('num_scan_inputs', 0),
    state = op.count - sequences;
  if (sequences < 1 || state < 0) throw new InputError(`num_scan_inputs ${sequences} does not fit ${op.count} inputs`);
  const body = bodyOf(op, op.count),
    results = body.outputs.length - state;
  const xs = Array.from({ length: sequences }, (_, i) => op.input(state + i));
  const option = (name: string, i: number): number => op.ints(name)?.[i] ?? 0;
  const axes = xs.map((x, i) => ops.normaliseAxis(option('scan_input_axes', i), x.shape.length));
  const lengths = xs.map((x, i) => x.shape[axes[i] as number] as number),
    length = lengths[0] as number;
  if (lengths.some((n) => n !== length))
    throw new InputError(`its inputs have different lengths: ${lengths.join(', ')}`);
  if (length > tripLimit) throw new TooLong(`runs ${length} times; at most ${tripLimit} are unrolled`);
  let carried: Value[] = Array.from({ length: state }, (_, i) => op.value(i));
  const perStep: Tensor[][] = Array.from({ length: results }, () => []);
  for (let t = 0; t < length; t++) {
    const now = xs.map((x, i) =>
      element(op, x, axes[i] as number, option('scan_input_directions', i) === 0 ? t : length - 1 - t),
    );
    const given = op.runSubgraph(body, [...carried, ...now]);
    carried = given.slice(0, state);
    perStep.forEach((list, k) => {
      list.push(tensorOf(given[state + k], `result ${k} of a step`));
    });
  }
  return [
    ...carried,
    ...perStep.map((list, k) => {
      if (list.length === 0) return empty(op, body, state + k);
      const inOrder = option('scan_output_directions', k) === 0 ? list : [...list].reverse();
      return stacked(inOrder, option('scan_output_axes', k));
    }),
  ];
}

export const controlOps: OpTable = {
  If: {
    limits: 'the condition must be known at import',
    build: (op) => {
      const branch = op.subgraph(op.scalar(0, 'the condition') !== 0 ? 'then_branch' : 'else_branch');
      if (!branch) throw new InputError('lacks a branch');
      return op.runSubgraph(branch, []);
    },
    neverFold: true,
  },
  Loop: {
    limits: 'trip count and condition must be known at import; unrolled, at most 16384 times',
    build: loop,
    neverFold: true,
  },
  Scan: {
    limits: 'from opset 9; unrolled, at most 16384 times',
    refuse: (op) => (op.opset < 9 ? 'of opset 8 has another meaning; export the model again' : undefined),
    build: scan,
    neverFold: true,
  },
  SequenceMap: {
    limits: 'unrolled',
    build: (op) => {
      const body = bodyOf(op, op.count),
        count = op.sequence(0).elements.length;
      const lists: Tensor[][] = body.outputs.map(() => []);
      for (let i = 0; i < count; i++) {
        const inputs = op.values.map((v) => {
          const found = v?.kind === 'sequence' ? v.elements[i] : v;
          if (!found) throw new InputError('its sequences differ in length');
          return found;
        });
        op.runSubgraph(body, inputs).forEach((v, k) => {
          lists[k]?.push(tensorOf(v, `result ${k}`));
        });
      }
      return lists.map((elements) => ({ kind: 'sequence', elements }));
    },
    neverFold: true,
  },
};
