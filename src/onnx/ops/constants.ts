/** Operators that make tensors out of nothing but numbers. */
import { InputError, UnsupportedError } from '../../base/errors.js';
import * as f from '../../graph/functions.js';
import { isFloat, type Node, ops, sizeOf } from '../../graph/index.js';
import type { Op, OpRule, OpTable } from '../op.js';
import { checkTable, Known, knownOf, knownOfSparse } from '../values.js';

function constant(op: Op): Known {
  const tensor = op.tensor('value');
  if (tensor) return knownOf(tensor);
  const sparse = op.sparseTensor('sparse_value');
  if (sparse) return knownOfSparse(sparse);
  for (const name of ['value_float', 'value_floats', 'value_int', 'value_ints']) {
    if (!op.hasAttribute(name)) continue;
    if (name === 'value_float') return new Known([], 'float32', Float32Array.of(op.float(name, 0)));
    if (name === 'value_int') return Known.integers([op.int(name, 0)], []);
    const values = op.floats(name === 'value_floats' ? name : '') ?? op.ints(name) ?? [];
    return name === 'value_floats'
      ? new Known([values.length], 'float32', Float32Array.from(values))
      : Known.integers(values);
  }
  throw new UnsupportedError('holds no numbers (strings are not supported)');
}

function constantOfShape(op: Op): Node {
  const tensor = op.tensor('value');
  const known = tensor ? knownOf(tensor) : undefined;
  if (known && known.data.length !== 1)
    throw new InputError(`attribute 'value' should be one number, has ${known.data.length}`);
  return op.graph.fill(
    known ? (known.data[0] as number) : 0,
    op.list(0, 'shape'),
    tensor ? op.typeOf(tensor.dataType) : op.typeOf('float32'),
  );
}

function range(op: Op): Node {
  const like = op.constant(0, 'start');
  const [start, limit, delta] = [op.scalar(0, 'start'), op.scalar(1, 'limit'), op.scalar(2, 'delta')];
  const count = Math.max(0, Math.ceil((limit - start) / delta));
  if (!Number.isFinite(count) || count > 2 ** 31 - 1)
    throw new InputError(`${start} to ${limit} by ${delta} is not a range`);
  const steps = op.graph.iota(0, [count]);
  if (!isFloat(like.dtype)) return ops.add(ops.mul(steps, delta), start);
  return ops.add(ops.mul(ops.cast(steps, op.x(0).dtype), delta), start);
}

function eyeLike(op: Op): Node {
  const shape = op.shape(0);
  if (shape.length !== 2) throw new InputError(`needs a matrix, got [${shape}]`);
  const to = op.hasAttribute('dtype') ? op.typeOf(op.typeAttribute('dtype')) : op.x(0).dtype;
  return ops.cast(ops.eq(ops.sub(op.graph.iota(1, shape), op.graph.iota(0, shape)), op.int('k', 0)), to);
}

/** [off, on] at the indices of a new axis; negative indices count from the end */
function oneHot(op: Op): Node {
  const index = op.x(0),
    depth = op.scalar(1, 'depth'),
    values = op.x(2);
  if (!Number.isInteger(depth) || depth < 0) throw new InputError(`depth ${depth} is impossible`);
  const whole = ops.cast(index, 'int32');
  const hot = f.oneHot(ops.select(ops.lt(whole, 0), ops.add(whole, depth), whole), depth, 'bool');
  const axis = ops.normaliseAxis(op.int('axis', -1), hot.shape.length),
    last = hot.shape.length - 1;
  const order = hot.shape.map((_, i) => i).slice(0, last);
  order.splice(axis, 0, last);
  const pick = (i: number): Node => ops.reshape(ops.slice(values, [i], [1]), []);
  return ops.select(ops.transpose(hot, order), pick(1), pick(0));
}

/** indices [rank, count] of what is not zero */
function nonZero(op: Op): Known {
  const { shape, data } = op.constant(0, 'the input');
  const hits = Array.from(data.keys()).filter((i) => data[i] !== 0);
  const rows = shape.map((d, axis) => {
    const inner = sizeOf(shape.slice(axis + 1));
    return hits.map((i) => Math.floor(i / inner) % d);
  });
  return Known.integers(rows.flat(), [shape.length, hits.length]);
}

/** a sum of cosines over one period, or from end to end where it is not periodic */
function cosineWindow(coefficients: readonly number[]): OpRule {
  return {
    limits: 'the size must be known at import',
    build: (op) => {
      const size = op.scalar(0, 'size'),
        period = op.int('periodic', 1) !== 0 ? size : size - 1;
      if (!Number.isInteger(size) || size < 1) throw new InputError(`a window of ${size} is impossible`);
      checkTable(size, 'the window');
      const data = Float64Array.from({ length: size }, (_, i) =>
        coefficients.reduce((sum, c, k) => sum + c * Math.cos((2 * Math.PI * k * i) / Math.max(1, period)), 0),
      );
      return new Known([size], op.typeOf(op.typeAttribute('output_datatype', 'float32')), data);
    },
  };
}

export const constantOps: OpTable = {
  Constant: { limits: 'no strings', build: constant },
  ConstantOfShape: { build: constantOfShape },
  Range: { limits: 'bounds must be known at import', build: range },
  HannWindow: cosineWindow([0.5, -0.5]),
  HammingWindow: cosineWindow([25 / 46, -21 / 46]),
  BlackmanWindow: cosineWindow([0.42, -0.5, 0.08]),
  EyeLike: { build: eyeLike },
  OneHot: { limits: 'the depth must be known at import', build: oneHot },
  NonZero: { limits: 'of values known at import', build: nonZero },
};
