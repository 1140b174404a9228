/**
 * Operators made from operators. A product of the result is made from products of its parts, which count
 * their own vectors as well. The parts stay their owner's: disposing a combination does not dispose them.
 */
import { InputError, ShapeError } from '../base/errors.js';
import type { Block } from '../device/block.js';
import { type ApplyOptions, type LinearOperator, OperatorBase, type OperatorTraits } from './linear-operator.js';

/** Indices from … to−1. */
export interface IndexRange {
  readonly from: number;
  readonly to: number;
}

/** Σ coefficients_i · operators_i (all 1 by default). All of one size, dtype and device. */
export function sum(operators: readonly LinearOperator[], coefficients?: readonly number[]): LinearOperator {
  const [first] = operators;
  if (first === undefined) throw new InputError('the sum of no operators has no size');
  const factors = coefficients ?? operators.map(() => 1);
  if (factors.length !== operators.length)
    throw new InputError(`${factors.length} coefficients for ${operators.length} operators`);
  for (const c of factors) mustBeFinite(c, 'a coefficient');
  for (const a of operators) {
    mustShareDevice(first, a);
    if (a.rows !== first.rows || a.columns !== first.columns) {
      throw new ShapeError(`a ${first.rows} × ${first.columns} and a ${a.rows} × ${a.columns} operator do not add`);
    }
  }
  const terms = operators.map((a, i) => ({ a, c: factors[i] as number }));
  const run = async (input: Block, output: Block, options: ApplyOptions, adjoint: boolean): Promise<void> => {
    const term = terms.length > 1 ? output.device.block(output.dtype, output.dimension, output.count) : output;
    try {
      for (const [i, { a, c }] of terms.entries()) {
        const target = i === 0 ? output : term;
        await product(a, adjoint)(input, target, options);
        if (i === 0) {
          if (c !== 1) output.scale(c);
        } else output.addScaled(c, term);
      }
    } finally {
      if (term !== output) term.dispose();
    }
  };
  return new Combination(
    {
      ...sizes(first),
      maxBlock: smallest(operators),
      symmetric: operators.every((a) => a.symmetric),
      positiveSemidefinite: terms.every(({ a, c }) => a.positiveSemidefinite && c >= 0),
      scaling: terms.map(({ a, c }) => `${c} × (${a.scaling})`).join(' + '),
      fingerprint: () => `sum(${terms.map(({ a, c }) => `${c}*${a.fingerprint}`).join(',')})`,
    },
    run,
  );
}

/** factor · A */
export function scale(a: LinearOperator, factor: number): LinearOperator {
  return sum([a], [factor]);
}

/** A + sigma · I, A square. With sigma > 0 this is damping. */
export function shift(a: LinearOperator, sigma: number): LinearOperator {
  mustBeFinite(sigma, 'the shift');
  if (a.rows !== a.columns) throw new ShapeError(`only a square operator can be shifted, not ${a.rows} × ${a.columns}`);
  return new Combination(
    {
      ...sizes(a),
      maxBlock: a.maxBlock,
      symmetric: a.symmetric,
      positiveSemidefinite: a.positiveSemidefinite && sigma >= 0,
      scaling: `(${a.scaling}) + ${sigma} × identity`,
      fingerprint: () => `shift(${a.fingerprint},${sigma})`,
    },
    async (input, output, options, adjoint) => {
      await product(a, adjoint)(input, output, options);
      output.addScaled(sigma, input);
    },
  );
}

/**
 * The product of operators, applied from the right: compose([A, B]) · x = A · (B · x). It is symmetric or
 * positive semidefinite only by the caller's word (as for BᵀAB), which `traits` gives.
 */
export function compose(
  operators: readonly LinearOperator[],
  traits: { symmetric?: boolean; positiveSemidefinite?: boolean } = {},
): LinearOperator {
  const [first] = operators;
  const last = operators.at(-1);
  if (first === undefined || last === undefined) throw new InputError('the product of no operators has no size');
  operators.reduce((left, right) => {
    mustShareDevice(left, right);
    if (left.columns !== right.rows) {
      throw new ShapeError(
        `a ${left.rows} × ${left.columns} and a ${right.rows} × ${right.columns} operator do not multiply`,
      );
    }
    return right;
  });
  const run = async (input: Block, output: Block, options: ApplyOptions, adjoint: boolean): Promise<void> => {
    const order = adjoint ? operators : [...operators].reverse();
    let current = input;
    try {
      for (const [i, a] of order.entries()) {
        const target = i === order.length - 1 ? output : undefined;
        const next = await product(a, adjoint)(current, target, options);
        if (current !== input) current.dispose();
        current = next;
      }
    } finally {
      if (current !== input && current !== output) current.dispose();
    }
  };
  return new Combination(
    {
      rows: first.rows,
      columns: last.columns,
      dtype: first.dtype,
      device: first.device,
      maxBlock: smallest(operators),
      symmetric: traits.symmetric ?? (operators.length === 1 && first.symmetric),
      positiveSemidefinite: traits.positiveSemidefinite ?? (operators.length === 1 && first.positiveSemidefinite),
      scaling: operators.map((a) => `(${a.scaling})`).join(' · '),
      fingerprint: () => `compose(${operators.map((a) => a.fingerprint).join(',')})`,
    },
    run,
  );
}

/** Aᵀ */
export function transpose(a: LinearOperator): LinearOperator {
  return new Combination(
    {
      ...sizes(a),
      rows: a.columns,
      columns: a.rows,
      maxBlock: a.maxBlock,
      symmetric: a.symmetric,
      positiveSemidefinite: a.positiveSemidefinite,
      scaling: a.scaling,
      fingerprint: () => `transpose(${a.fingerprint})`,
    },
    async (input, output, options, adjoint) => {
      await product(a, !adjoint)(input, output, options);
    },
  );
}

/**
 * The submatrix with the rows and columns in `ranges` (ascending, not overlapping): a layer's own block of a
 * Hessian. Each product costs one of A. A square.
 */
export function restrict(a: LinearOperator, ranges: readonly IndexRange[]): LinearOperator {
  if (a.rows !== a.columns)
    throw new ShapeError(`only a square operator can be restricted, not ${a.rows} × ${a.columns}`);
  const dimension = checkRanges(ranges, a.columns);
  const run = async (input: Block, output: Block, options: ApplyOptions, adjoint: boolean): Promise<void> => {
    const whole = a.device.block(a.dtype, a.columns, input.count);
    let result: Block | undefined;
    try {
      whole.zero();
      move(input, whole, ranges, 'scatter');
      result = await product(a, adjoint)(whole, undefined, options);
      move(output, result, ranges, 'gather');
    } finally {
      whole.dispose();
      result?.dispose();
    }
  };
  return new Combination(
    {
      ...sizes(a),
      rows: dimension,
      columns: dimension,
      maxBlock: a.maxBlock,
      symmetric: a.symmetric,
      positiveSemidefinite: a.positiveSemidefinite,
      scaling: a.scaling,
      fingerprint: () => `restrict(${a.fingerprint},${ranges.map((r) => `${r.from}-${r.to}`).join(',')})`,
    },
    run,
  );
}

type Run = (input: Block, output: Block, options: ApplyOptions, adjoint: boolean) => Promise<void>;

class Combination extends OperatorBase {
  readonly #run: Run;

  constructor(traits: OperatorTraits, run: Run) {
    super(traits);
    this.#run = run;
  }

  protected override async multiply(input: Block, output: Block, options: ApplyOptions): Promise<void> {
    await this.#run(input, output, options, false);
  }

  protected override async multiplyAdjoint(input: Block, output: Block, options: ApplyOptions): Promise<void> {
    await this.#run(input, output, options, true);
  }
}

function product(
  a: LinearOperator,
  adjoint: boolean,
): (input: Block, output: Block | undefined, options: ApplyOptions) => Promise<Block> {
  return (input, output, options) =>
    adjoint ? a.applyAdjoint(input, output, options) : a.apply(input, output, options);
}

function sizes(a: LinearOperator): Pick<OperatorTraits, 'rows' | 'columns' | 'dtype' | 'device'> {
  return { rows: a.rows, columns: a.columns, dtype: a.dtype, device: a.device };
}

function smallest(operators: readonly LinearOperator[]): number | undefined {
  const limits = operators.flatMap((a) => a.maxBlock ?? []);
  return limits.length > 0 ? Math.min(...limits) : undefined;
}

/** Copies the packed block's elements to (scatter) or from (gather) their places in the whole one. */
function move(packed: Block, whole: Block, ranges: readonly IndexRange[], direction: 'scatter' | 'gather'): void {
  let at = 0;
  for (const { from, to } of ranges) {
    const part = packed.elements(at, at + to - from);
    const place = whole.elements(from, to);
    if (direction === 'scatter') place.copyFrom(part);
    else part.copyFrom(place);
    part.dispose();
    place.dispose();
    at += to - from;
  }
}

function checkRanges(ranges: readonly IndexRange[], size: number): number {
  let end = 0;
  let total = 0;
  for (const { from, to } of ranges) {
    if (!(Number.isSafeInteger(from) && Number.isSafeInteger(to) && end <= from && from < to && to <= size)) {
      throw new InputError(`index range ${from}…${to} is empty, out of order or outside 0…${size}`);
    }
    end = to;
    total += to - from;
  }
  if (total === 0) throw new InputError('no index range to restrict to');
  return total;
}

function mustShareDevice(a: LinearOperator, b: LinearOperator): void {
  if (a.device !== b.device || a.dtype !== b.dtype) {
    throw new InputError(
      `a ${a.dtype} operator on ${a.device.name} and a ${b.dtype} one on ${b.device.name} do not combine`,
    );
  }
}

function mustBeFinite(value: number, what: string): void {
  if (!Number.isFinite(value)) throw new InputError(`${what} must be a finite number, not ${value}`);
}
