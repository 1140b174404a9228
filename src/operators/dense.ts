/** Operators as matrices and as plain functions: for small problems, for checking, and for other libraries. */
import { Matrix } from 'ml-matrix';
import { checkInterrupted, InputError } from '../base/errors.js';
import type { FloatArray } from '../device/block.js';
import type { ApplyOptions, LinearOperator } from './linear-operator.js';

/** Options of `dense`. */
export interface DenseOptions extends ApplyOptions {
  /** refuse more entries than this; default 2²⁵ (256 MiB) */
  readonly maxEntries?: number | undefined;
}

/**
 * All entries of A, in float64, by products with the columns of the identity: `columns` products. Throws InputError where
 * rows × columns exceeds `maxEntries`.
 */
export async function dense(a: LinearOperator, { maxEntries = 2 ** 25, signal }: DenseOptions = {}): Promise<Matrix> {
  const { rows, columns } = a;
  if (rows * columns > maxEntries)
    throw new InputError(`a ${rows} × ${columns} matrix has more than the ${maxEntries} entries allowed (maxEntries)`);
  const matrix = new Matrix(rows, columns);
  const step = Math.max(1, Math.min(a.maxBlock ?? 16, columns));
  for (let from = 0; from < columns; from += step) {
    checkInterrupted(signal);
    const count = Math.min(step, columns - from);
    const unit = new Float64Array(count * columns);
    for (let r = 0; r < count; r++) unit[r * columns + from + r] = 1;
    const block = await a.apply(unit, undefined, { signal });
    try {
      const values = await block.readFloat64();
      for (let r = 0; r < count; r++)
        for (let i = 0; i < rows; i++) matrix.set(i, from + r, values[r * rows + i] as number);
    } finally {
      block.dispose();
    }
  }
  return matrix;
}

/** x ↦ A·x on typed arrays, with what libraries of iterative methods ask for beside it. */
export interface OperatorFunction {
  (vector: FloatArray, options?: ApplyOptions): Promise<Float64Array>;
  readonly rows: number;
  readonly columns: number;
  /** y ↦ Aᵀ·y */
  readonly adjoint: (vector: FloatArray, options?: ApplyOptions) => Promise<Float64Array>;
}
/** A as a plain function. It stays the operator's: disposing that ends it. */
export function toFunction(a: LinearOperator): OperatorFunction {
  const adjoint = async (vector: FloatArray, options: ApplyOptions = {}): Promise<Float64Array> => {
    const block = await a.applyAdjoint(vector, undefined, options);
    try {
      return await block.readFloat64();
    } finally {
      block.dispose();
    }
  };
  return Object.assign((vector: FloatArray, options?: ApplyOptions) => a.applyVector(vector, options), {
    rows: a.rows,
    columns: a.columns,
    adjoint,
  });
}
