/** Preconditions that several solvers share. */
import { InputError, ShapeError } from '../base/errors.js';
import type { LinearOperator } from '../operators/linear-operator.js';
import type { FloatDType } from '../program/format.js';

/** Largest relative error of rounding one number. */
export function unitRoundoff(dtype: FloatDType): number {
  return dtype === 'float32' ? 2 ** -24 : 2 ** -53;
}

export function mustBeSquare(operator: LinearOperator, solver: string): void {
  if (operator.rows !== operator.columns) {
    throw new ShapeError(`${solver} needs a square operator, not ${operator.rows} × ${operator.columns}`);
  }
}

export function mustBeSymmetric(operator: LinearOperator, solver: string): void {
  mustBeSquare(operator, solver);
  if (!operator.symmetric) throw new InputError(`${solver} needs an operator that is declared symmetric`);
}

/** Whole numbers from `least` on. */
export function mustBeCount(value: number, name: string, least = 1): void {
  if (!(Number.isSafeInteger(value) && value >= least)) {
    throw new InputError(`${name} must be a whole number of at least ${least}, not ${value}`);
  }
}

export function mustBePositive(value: number, name: string): void {
  if (!(value > 0 && value < Number.POSITIVE_INFINITY))
    throw new InputError(`${name} must be a positive number, not ${value}`);
}
