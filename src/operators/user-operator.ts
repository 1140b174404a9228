/** Operators from a caller's own functions or matrix: the way in for matrices this package did not build. */
import { Matrix } from 'ml-matrix';
import { ComputationError, InputError, ShapeError } from '../base/errors.js';
import type { Block } from '../device/block.js';
import type { Device } from '../device/device.js';
import { sharedDevice } from '../device/open.js';
import type { FloatDType } from '../program/format.js';
import { type ApplyOptions, type LinearOperator, OperatorBase } from './linear-operator.js';

/** From a vector of `columns` to one of `rows` elements; the argument may be kept, the result is copied. */
export type VectorFunction = (vector: Float64Array) => Float64Array | Promise<Float64Array>;
/** `count` vectors, one after another, at once. */
export type BlockFunction = (vectors: Float64Array, count: number) => Float64Array | Promise<Float64Array>;

/** Options of `linearOperator`: sizes, what is known of the matrix, and a product. */
export interface UserOperatorOptions {
  readonly rows: number;
  readonly columns: number;
  /** A = Aᵀ. The solvers notice when it is not. Default false. */
  readonly symmetric?: boolean;
  readonly positiveSemidefinite?: boolean;
  /** A · x for one vector. Either this or `applyBlock`. */
  readonly apply?: VectorFunction;
  readonly applyBlock?: BlockFunction;
  /** Aᵀ · x. Not needed when symmetric. */
  readonly applyAdjoint?: VectorFunction;
  readonly applyAdjointBlock?: BlockFunction;
  /** In which solvers keep their vectors; the functions see float64 either way. Default float64. */
  readonly dtype?: FloatDType;
  /** Where solvers keep their vectors. Default: the CPU, all cores. */
  readonly device?: Device;
  readonly maxBlock?: number;
  readonly scaling?: string;
  readonly fingerprint?: string;
}

/**
 * ```ts
 * const A = linearOperator({ rows: 3, columns: 3, symmetric: true, apply: (x) => x.map((v, i) => (i + 1) * v) });
 * ```
 * Throws InputError when no product is given.
 */
export function linearOperator(options: UserOperatorOptions): LinearOperator {
  return new UserOperator(options);
}

/** Options of `toOperator`. */
export type MatrixOptions = Pick<
  UserOperatorOptions,
  'dtype' | 'device' | 'positiveSemidefinite' | 'scaling' | 'fingerprint'
>;

/** A dense matrix as an operator, symmetric if it equals its transpose exactly. The matrix is copied. */
export function toOperator(matrix: Matrix, options: MatrixOptions = {}): LinearOperator {
  const dense = Matrix.checkMatrix(matrix);
  const [rows, columns] = [dense.rows, dense.columns];
  const entries = Float64Array.from(dense.to1DArray());
  const symmetric =
    rows === columns &&
    entries.every((value, i) => value === entries[(i % columns) * columns + Math.floor(i / columns)]);
  return new UserOperator({
    ...options,
    rows,
    columns,
    symmetric,
    apply: (x) => product(entries, rows, columns, x),
    applyAdjoint: (x) => adjointProduct(entries, rows, columns, x),
  });
}

class UserOperator extends OperatorBase {
  readonly #forward: BlockFunction;
  readonly #adjoint: BlockFunction | undefined;

  constructor(options: UserOperatorOptions) {
    const { rows, columns, symmetric = false, dtype = 'float64', device = sharedDevice() } = options;
    super({ ...options, rows, columns, symmetric, dtype, device });
    const forward = options.applyBlock ?? perVector(options.apply, columns);
    if (forward === undefined) throw new InputError('linearOperator needs `apply` or `applyBlock`');
    this.#forward = forward;
    this.#adjoint = options.applyAdjointBlock ?? perVector(options.applyAdjoint, rows);
  }

  protected override async multiply(input: Block, output: Block): Promise<void> {
    await transfer(this.#forward, input, output, 'apply');
  }

  protected override async multiplyAdjoint(input: Block, output: Block, options: ApplyOptions): Promise<void> {
    if (this.#adjoint === undefined) return super.multiplyAdjoint(input, output, options);
    await transfer(this.#adjoint, input, output, 'applyAdjoint');
  }
}

async function transfer(work: BlockFunction, input: Block, output: Block, name: string): Promise<void> {
  const vectors = await input.readFloat64();
  const result = await work(vectors, input.count);
  if (result.length !== output.count * output.dimension) {
    throw new ShapeError(`${name} returned ${result.length} elements, not ${output.count} × ${output.dimension}`);
  }
  // Found here, the message can say whose function it was; in a solver it would be an anonymous product.
  const bad = result.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw new ComputationError(`${name} returned ${result[bad]} in element ${bad % output.dimension}`);
  output.write(result);
}

function perVector(apply: VectorFunction | undefined, length: number): BlockFunction | undefined {
  if (apply === undefined) return undefined;
  return async (vectors, count) => {
    if (count === 1) return apply(vectors);
    let result = new Float64Array(0);
    for (let r = 0; r < count; r += 1) {
      const one = await apply(vectors.slice(r * length, (r + 1) * length));
      if (r === 0) result = new Float64Array(count * one.length);
      if (one.length * count !== result.length)
        throw new ShapeError(`apply returned ${one.length} elements, before ${result.length / count}`);
      result.set(one, r * one.length);
    }
    return result;
  };
}

function product(a: Float64Array, rows: number, columns: number, x: Float64Array): Float64Array {
  const y = new Float64Array(rows);
  for (let i = 0; i < rows; i += 1) {
    let sum = 0;
    for (let j = 0; j < columns; j += 1) sum += (a[i * columns + j] as number) * (x[j] as number);
    y[i] = sum;
  }
  return y;
}

function adjointProduct(a: Float64Array, rows: number, columns: number, x: Float64Array): Float64Array {
  const y = new Float64Array(columns);
  for (let i = 0; i < rows; i += 1) {
    const factor = x[i] as number;
    for (let j = 0; j < columns; j += 1) y[j] = (y[j] as number) + factor * (a[i * columns + j] as number);
  }
  return y;
}
