/**
 * What a curvature matrix is to everything that uses one: something that multiplies blocks of vectors.
 * Solvers know this interface and nothing else of an operator.
 */
import { checkInterrupted, InputError, InternalError, ShapeError } from '../base/errors.js';
import { Block, type FloatArray } from '../device/block.js';
import type { Device } from '../device/device.js';
import type { FloatDType } from '../program/format.js';

/** Options of one product. */
export interface ApplyOptions {
  /** Stops the product; the promise, or reading its result, then rejects with InterruptedError. */
  readonly signal?: AbortSignal | undefined;
}

/** A matrix that is multiplied by, never formed: what every solver takes. */
export interface LinearOperator {
  readonly rows: number;
  readonly columns: number;
  readonly dtype: FloatDType;
  readonly device: Device;
  /** A = Aᵀ, by construction or by the caller's word. */
  readonly symmetric: boolean;
  readonly positiveSemidefinite: boolean;
  /** What the entries are scaled by, in words: "mean over 10000 samples". */
  readonly scaling: string;
  /** Equal for equal matrices (same model, data, options); what a saved run is matched by. */
  readonly fingerprint: string;
  /** Vectors multiplied so far, by A and Aᵀ together. */
  readonly products: number;
  /** The most vectors one call multiplies at once; more are allowed and split. Absent: no preference. */
  readonly maxBlock?: number | undefined;

  /**
   * A · input for each vector of a block (contiguous), or of an array holding one vector after another.
   * `output` (contiguous, not overlapping the input) receives the result; without it a new block is made,
   * which the caller disposes. May resolve before the device is done: failures then reject at the next read.
   */
  apply(input: Block | FloatArray, output?: Block, options?: ApplyOptions): Promise<Block>;
  /** Aᵀ · input, likewise. */
  applyAdjoint(input: Block | FloatArray, output?: Block, options?: ApplyOptions): Promise<Block>;
  /** A · vector as a new array, in float64. */
  applyVector(vector: FloatArray, options?: ApplyOptions): Promise<Float64Array>;

  /** Frees what the operator holds on the device. A second call does nothing. */
  dispose(): void;
  /** `dispose`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** What an operator is, apart from how it multiplies. */
export interface OperatorTraits {
  readonly rows: number;
  readonly columns: number;
  readonly dtype: FloatDType;
  readonly device: Device;
  readonly symmetric: boolean;
  readonly positiveSemidefinite?: boolean | undefined;
  readonly scaling?: string | undefined;
  /** a function where it takes work, which is done when someone asks */
  readonly fingerprint?: string | (() => string) | undefined;
  readonly maxBlock?: number | undefined;
}

/**
 * Arguments checked, outputs made, vectors counted, large blocks split: what remains for an operator to
 * write is `multiply` (and `multiplyAdjoint` unless it is symmetric).
 */
export abstract class OperatorBase implements LinearOperator {
  readonly rows: number;
  readonly columns: number;
  readonly dtype: FloatDType;
  readonly device: Device;
  readonly symmetric: boolean;
  readonly positiveSemidefinite: boolean;
  readonly scaling: string;
  readonly maxBlock: number | undefined;
  #fingerprint: string | (() => string);
  #products = 0;

  constructor(traits: OperatorTraits) {
    const { rows, columns, symmetric } = traits;
    for (const size of [rows, columns]) {
      if (!Number.isSafeInteger(size) || size < 1)
        throw new InputError(`an operator's size must be at least 1, not ${size}`);
    }
    if (symmetric && rows !== columns) throw new ShapeError(`a ${rows} × ${columns} operator cannot be symmetric`);
    this.rows = rows;
    this.columns = columns;
    this.dtype = traits.dtype;
    this.device = traits.device;
    this.symmetric = symmetric;
    this.positiveSemidefinite = traits.positiveSemidefinite ?? false;
    this.scaling = traits.scaling ?? 'none';
    this.#fingerprint = traits.fingerprint ?? '';
    this.maxBlock = traits.maxBlock;
  }

  /** output ← A · input. Both contiguous, of this operator's dtype and device, with equally many vectors. */
  protected abstract multiply(input: Block, output: Block, options: ApplyOptions): Promise<void>;

  /** output ← Aᵀ · input. Only called when the operator is not symmetric. */
  protected multiplyAdjoint(_input: Block, _output: Block, _options: ApplyOptions): Promise<void> {
    throw new InputError(
      'this operator has no adjoint product: give one (applyAdjoint), or declare it symmetric if it is',
    );
  }

  get fingerprint(): string {
    if (typeof this.#fingerprint === 'function') this.#fingerprint = this.#fingerprint();
    return this.#fingerprint;
  }

  get products(): number {
    return this.#products;
  }

  apply(input: Block | FloatArray, output?: Block, options: ApplyOptions = {}): Promise<Block> {
    return this.#run(input, output, options, false);
  }

  applyAdjoint(input: Block | FloatArray, output?: Block, options: ApplyOptions = {}): Promise<Block> {
    return this.#run(input, output, options, !this.symmetric);
  }

  async applyVector(vector: FloatArray, options: ApplyOptions = {}): Promise<Float64Array> {
    if (vector.length !== this.columns) {
      throw new ShapeError(`a vector of ${vector.length} elements for an operator with ${this.columns} columns`);
    }
    const result = await this.apply(vector, undefined, options);
    try {
      return await result.readFloat64();
    } finally {
      result.dispose();
    }
  }

  /** Frees what the operator holds. The base holds nothing. */
  dispose(): void {}

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }

  async #run(
    input: Block | FloatArray,
    output: Block | undefined,
    options: ApplyOptions,
    adjoint: boolean,
  ): Promise<Block> {
    const [from, to] = adjoint ? [this.rows, this.columns] : [this.columns, this.rows];
    if (!(input instanceof Block)) {
      const uploaded = this.#upload(input, from);
      try {
        return await this.#run(uploaded, output, options, adjoint);
      } finally {
        uploaded.dispose();
      }
    }
    this.#check(input, from, 'input');
    if (output !== undefined) {
      this.#check(output, to, 'output');
      if (output.count !== input.count)
        throw new ShapeError(`room for ${output.count} products of ${input.count} vectors`);
      if (overlap(input, output)) throw new InputError('a product cannot be written over its own input');
    }
    const result = output ?? this.device.block(this.dtype, to, input.count);
    try {
      await this.#split(input, result, options, adjoint);
    } catch (error) {
      if (output === undefined) result.dispose();
      throw error;
    }
    return result;
  }

  async #split(input: Block, output: Block, options: ApplyOptions, adjoint: boolean): Promise<void> {
    const size = Math.max(1, Math.min(this.maxBlock ?? input.count, input.count));
    for (let from = 0; from < input.count; from += size) {
      checkInterrupted(options.signal);
      const to = Math.min(input.count, from + size);
      const part = input.rows(from, to);
      const target = output.rows(from, to);
      try {
        await (adjoint ? this.multiplyAdjoint(part, target, options) : this.multiply(part, target, options));
      } finally {
        part.dispose();
        target.dispose();
      }
      this.#products += to - from;
    }
  }

  #upload(values: FloatArray, length: number): Block {
    const count = values.length / length;
    if (!Number.isInteger(count) || count < 1) {
      throw new ShapeError(`${values.length} values are not a whole number of vectors of ${length}`);
    }
    const block = this.device.block(this.dtype, length, count);
    block.write(values);
    return block;
  }

  #check(block: Block, dimension: number, role: string): void {
    if (block.dimension !== dimension) {
      throw new ShapeError(
        `${role} vectors of ${block.dimension} elements for a ${this.rows} × ${this.columns} operator`,
      );
    }
    if (block.device !== this.device || block.dtype !== this.dtype) {
      throw new InputError(
        `${role} is ${block.dtype} on ${block.device.name}, the operator ${this.dtype} on ${this.device.name}`,
      );
    }
    if (!block.contiguous) throw new InternalError(`${role} must be a contiguous block`);
  }
}

/** Do two contiguous blocks share elements? */
function overlap(a: Block, b: Block): boolean {
  return (
    a.buffer === b.buffer && a.offset < b.offset + b.count * b.dimension && b.offset < a.offset + a.count * a.dimension
  );
}
