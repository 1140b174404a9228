/**
 * The boundary to the native core, as the addon exports it. Everything here is synchronous to call:
 * work is put on the device's ordered queue, and only reading values (or waiting) returns a promise.
 *
 * Errors. A call with bad arguments throws at once. Work that fails poisons every buffer it was to write;
 * work that reads a poisoned buffer is skipped and poisons its own results; `read`, `gram` and the like
 * reject with the first cause. Thrown and rejected errors carry `code`: 'OUT_OF_MEMORY', 'ABORTED',
 * 'INVALID_ARGUMENT', 'INVALID_INPUT' (an index out of range), 'UNSUPPORTED' (the device has no kernel for an
 * instruction), 'ENVIRONMENT' (no such device or library here), 'INTERNAL'.
 */
import type { FloatDType } from '../program/format.js';

/** Memory on the device. Freed by `dispose`, or at the latest when garbage-collected. */
export interface NativeBuffer {
  readonly byteLength: number;
  dispose(): void;
}

/** A loaded program; immutable, reusable, safe to run any number of times. */
export interface NativeProgram {
  dispose(): void;
}

/** Set once, from any thread; work that carries it stops between instructions and poisons its results (ABORTED). */
export interface NativeToken {
  cancel(): void;
}

/** Rows of vectors of equal length inside a buffer: row r starts at element offset + r * stride. */
export interface Rows {
  readonly buffer: NativeBuffer;
  /** elements */
  readonly offset: number;
  readonly rows: number;
  /** elements; at least the length of a row */
  readonly stride: number;
}

/**
 * Rows of which only the `keep` largest elements of every block of `block` (≤ 65536) are kept; layout and sizes in
 * native/kernels/sparse/sparse.h. `rows` is how many there is room for.
 */
export interface SparseRows {
  /** 16-bit positions within the block */
  readonly indices: NativeBuffer;
  /** in the dtype of the call */
  readonly values: NativeBuffer;
  readonly rows: number;
  readonly block: number;
  readonly keep: number;
}

/** The numbers scale · (q − zero), q in low … high, of each row and group of columns; found by the calls that take it. */
export interface GridRows {
  readonly low: number;
  readonly high: number;
  /** zero is 0 */
  readonly symmetric: boolean;
  /** sweep: a group's grid is fitted when its first column is reached, to what its weights have become by then */
  readonly later: boolean;
  /** of each column, from 0 on; with `later`, columns of a group are neighbours and groups ascend */
  readonly group: Int32Array;
  /** rows × groups, written; scales are float32 numbers */
  readonly scales: Rows;
  readonly zeros: Rows;
}

/** Standard normal, ±1, or uniform in (0, 1). */
export type Distribution = 'normal' | 'rademacher' | 'uniform';

export interface NativeDevice {
  /** Uninitialised memory, 64-byte aligned. Throws OUT_OF_MEMORY naming what was asked for. */
  allocate(bytes: number): NativeBuffer;
  /** Copies `source` now (the caller may change it afterwards) and queues the transfer. */
  write(buffer: NativeBuffer, byteOffset: number, source: ArrayBufferView): void;
  /** Fills `target` when all earlier work is done. */
  read(buffer: NativeBuffer, byteOffset: number, target: ArrayBufferView): Promise<void>;
  /** Decodes and validates. `labels[i]` names instruction i in errors, traces and profiles. */
  load(code: Float64Array, labels: string[]): NativeProgram;
  /** Queues one run; `buffers[i]` from `byteOffsets[i]` on serves binding i. */
  run(program: NativeProgram, buffers: NativeBuffer[], byteOffsets: number[], token?: NativeToken): void;
  /** Like run, and resolves to seconds per instruction, in order. */
  profile(
    program: NativeProgram,
    buffers: NativeBuffer[],
    byteOffsets: number[],
    token?: NativeToken,
  ): Promise<Float64Array>;

  /** a·bᵀ, row-major a.rows × b.rows, accumulated in float64. With 'bfloat16', b is that and a is float32. */
  gram(dtype: FloatDType | 'bfloat16', length: number, a: Rows, b: Rows): Promise<Float64Array>;
  /**
   * b ← beta·b + c·a with c row-major b.rows × a.rows. a and b must not overlap unless a is b and c diagonal.
   * With 'bfloat16', a is that and b is float32.
   */
  combine(dtype: FloatDType | 'bfloat16', length: number, c: Float64Array, a: Rows, beta: number, b: Rows): void;
  /** b (bfloat16) ← a (float32), rounded to nearest, ties to even. */
  roundBFloat16(length: number, a: Rows, b: Rows): void;
  /**
   * Two classical Gram–Schmidt passes of the single row w against the rows of basis (orthonormal to working
   * precision), in float64 accumulation. Resolves to [c_0 … c_{m−1}, ‖w before‖₂, ‖w after‖₂], c being the
   * coefficients removed in both passes together.
   */
  orthogonalize(dtype: FloatDType, length: number, basis: Rows, w: Rows): Promise<Float64Array>;
  /** Row `row` of `rows` ← the largest elements of the single row x in magnitude, which become 0 in x. */
  sparseSelect(dtype: FloatDType, length: number, x: Rows, rows: SparseRows, row: number): void;
  sparseCopy(dtype: FloatDType, length: number, rows: SparseRows, from: number, to: number): void;
  /** x · (rows first … first+count−1)ᵀ, row-major, accumulated in float64. */
  sparseGram(
    dtype: FloatDType,
    length: number,
    x: Rows,
    rows: SparseRows,
    first: number,
    count: number,
  ): Promise<Float64Array>;
  /** y ← beta·y + c·(rows first … first+count−1), c row-major y.rows × count. */
  sparseCombine(
    dtype: FloatDType,
    length: number,
    c: Float64Array,
    rows: SparseRows,
    first: number,
    count: number,
    beta: number,
    y: Rows,
  ): void;
  /** Row r gets the numbers of stream `stream + r`: Philox4x32-10 keyed by (seed, stream), counter = element. */
  random(
    dtype: FloatDType,
    length: number,
    target: Rows,
    distribution: Distribution,
    seed: number,
    stream: number,
  ): void;

  /**
   * Layers (native/kernels/layerwise), all in float64. h: length × length, symmetric; H⁻¹ or, if `factor`, the upper
   * triangular U with H⁻¹ = UᵀU takes its place. INVALID_INPUT where it is singular.
   */
  invert(length: number, h: Rows, factor: boolean): void;
  /**
   * Greedy elimination in each row of weights for itself: `prune[r]` weights become 0 in whole blocks of columns, at most
   * of − keep in every `of` columns (0: anywhere), or if `given` those that order lists; then all others are rounded to the grid, if there is one. Column
   * numbers in the order taken (−1: no more) and what each added to ½ δw H δwᵀ. A grid needs blocks of 1.
   */
  eliminate(
    length: number,
    inverse: Rows,
    weights: Rows,
    rule: {
      readonly block: number;
      readonly keep: number;
      readonly of: number;
      readonly given: boolean;
      readonly prune: Float64Array;
    },
    grid: GridRows | null,
    order: Rows,
    losses: Rows,
  ): void;
  /**
   * Columns from left to right, what a weight loses being taken over by those to its right: of every `block` columns the
   * share `sparsity` of all rows' weights becomes 0 (of > 0: all but `keep` of each `of` columns of each row), the others
   * are rounded to the grid, if there is one. losses: one number a row, ½ δw H δwᵀ. `factor` of no rows: nothing is taken
   * over, and losses are ½‖δw‖².
   */
  sweep(
    length: number,
    factor: Rows,
    weights: Rows,
    rule: { readonly block: number; readonly keep: number; readonly of: number; readonly sparsity: number },
    grid: GridRows | null,
    losses: Rows,
  ): void;

  /** Jobs waiting or running. */
  pending(): number;
  /** Resolves when at most `limit` jobs are left. Never rejects. */
  drained(limit: number): Promise<void>;
  token(): NativeToken;
  /** Bytes held by live buffers. */
  allocatedBytes(): number;
  dispose(): void;
}

export interface CpuInfo {
  /** instruction-set extensions seen, such as avx2, avx512f */
  features: string[];
  /** which build of the kernels was chosen: 'baseline' | 'avx2' | 'avx512' */
  isa: string;
  cores: number;
  /** e.g. "oneDNN 2.6.0" or null */
  oneDNN: string | null;
  model: string;
}

/** The GPU that the CUDA plug-in found, or why there is none. */
export type CudaInfo =
  | {
      readonly available: true;
      /** e.g. "NVIDIA H200" */
      readonly name: string;
      /** compute capability, versions, libraries; for people */
      readonly detail: string;
      /** bytes */
      readonly memory: number;
    }
  | { readonly available: false; readonly reason: string };

export interface NativeBinding {
  readonly version: string;
  cpuInfo(): CpuInfo;
  /** An independent queue with its own thread and OpenMP team. threads = 0: all cores. */
  createCpuDevice(options: { threads: number; useOneDNN?: boolean }): NativeDevice;
  /**
   * `library`: path of the CUDA plug-in, or 'emulated' for the one that runs its kernels on the processor; absent: what
   * HESSIA_CUDA says, else hessia-cuda.so beside the addon.
   */
  cudaInfo(library?: string): CudaInfo;
  /** Throws ENVIRONMENT where the plug-in or a GPU is missing. */
  createCudaDevice(library?: string): NativeDevice;
}
