/**
 * The common part of XTrace and XDiag (Epperly, Tropp & Webber, SIAM J. Matrix Anal. Appl. 45, 2024): a random
 * block Ω, its image Y = A Ω = Q R, Z = A Q (or Aᵀ Q), and the unit vectors s_i along the columns of R⁻ᵀ: the
 * basis without vector i spans what Q (I − s_i s_iᵀ) does.
 */
import { ComputationError, checkInterrupted } from '../base/errors.js';
import type { Block } from '../device/block.js';
import type { LinearOperator } from '../operators/linear-operator.js';
import { drawn, inBlocks, orthonormalise, type Sampling } from './hutchinson.js';

export interface Sketch {
  /** k random vectors */
  readonly omega: Block;
  /** orthonormal; k of them, or fewer if A has lower rank (then Q spans its range) */
  readonly q: Block;
  /** A q_i, or Aᵀ q_i */
  readonly z: Block;
  /** k × k upper triangular, row-major; undefined when Q has fewer vectors */
  readonly r: Float64Array | undefined;
  /** length of what was dropped from Y, if Q has fewer vectors */
  readonly dropped: number;
  /** vectors multiplied */
  readonly products: number;
  dispose(): void;
}

export interface SketchOptions {
  readonly size: number;
  readonly block: number;
  readonly adjoint: boolean;
  /** changes Ω before it is multiplied */
  readonly prepare?: (omega: Block) => Promise<void>;
}

export async function sketch(
  operator: LinearOperator,
  options: Sampling,
  { size, block, adjoint, prepare }: SketchOptions,
): Promise<Sketch> {
  const held: Block[] = [];
  const hold = (b: Block): Block => {
    held.push(b);
    return b;
  };
  const dispose = (): void => {
    for (const b of held) b.dispose();
  };
  try {
    const omega = hold(drawn(operator, size, options, 0));
    await prepare?.(omega);
    const y = hold(operator.device.block(operator.dtype, operator.rows, size));
    await multiply(operator, omega, y, block, false, options, 0);
    const { rank, r, dropped } = await orthonormalise(y, operator.dtype);
    const q = hold(y.rows(0, rank));
    const z = hold(operator.device.block(operator.dtype, operator.columns, Math.max(rank, 1))).rows(0, rank);
    held.push(z);
    await multiply(operator, q, z, block, adjoint, options, size);
    return { omega, q, z, r: rank === size ? r : undefined, dropped, products: size + rank, dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

async function multiply(
  operator: LinearOperator,
  from: Block,
  to: Block,
  size: number,
  adjoint: boolean,
  options: Sampling,
  before: number,
): Promise<void> {
  await inBlocks(from.count, size, async (start, end) => {
    checkInterrupted(options.signal);
    const input = from.rows(start, end);
    const output = to.rows(start, end);
    try {
      const product = adjoint ? operator.applyAdjoint(input, output, options) : operator.apply(input, output, options);
      await product;
    } finally {
      input.dispose();
      output.dispose();
    }
    options.onProgress?.({
      stage: before === 0 ? 'sketch' : 'exact part',
      products: before + end,
      total: before + Math.max(before, from.count),
    });
  });
}

/** Columns of R⁻ᵀ (k × k, R upper triangular), each divided by its length; as rows: s_i is row i of the result. */
export function leaveOneOut(r: Float64Array, k: number): Float64Array {
  const s = new Float64Array(k * k);
  for (let i = 0; i < k; i += 1) {
    // R⁻ᵀ e_i by forward substitution in Rᵀ x = e_i: entries before i are 0.
    let squares = 0;
    for (let j = i; j < k; j += 1) {
      let sum = j === i ? 1 : 0;
      for (let l = i; l < j; l += 1) sum -= (r[l * k + j] as number) * (s[i * k + l] as number);
      const value = sum / (r[j * k + j] as number);
      s[i * k + j] = value;
      squares += value * value;
    }
    if (!(squares > 0 && squares < Number.POSITIVE_INFINITY)) {
      throw new ComputationError(
        'the sketch is singular to working precision: compute in float64 or take fewer products',
      );
    }
    const length = Math.sqrt(squares);
    for (let j = i; j < k; j += 1) s[i * k + j] = (s[i * k + j] as number) / length;
  }
  return s;
}
