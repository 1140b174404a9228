/**
 * Gradients as the rows of G (m × d), however they are stored. All that products with F and F⁻¹ need of them are the
 * two passes x·Gᵀ and c·G; a window also replaces rows.
 */
import type { Block, FloatArray } from '../device/block.js';

export interface StoredGradients {
  /** m */
  readonly count: number;
  /** x·Gᵀ for the k vectors of x: k × m, row-major, accumulated in float64. One pass. */
  gram(x: Block): Promise<Float64Array>;
  /** output ← beta · output + c·G, c k × m, row-major. One pass. */
  combine(c: Float64Array, output: Block, beta: number): void | Promise<void>;
  dispose(): void;
}

/** Rows of a block as they are. The view is the store's, and disposed with it. */
export function denseGradients(view: Block): StoredGradients {
  return {
    count: view.count,
    gram: (x) => x.gram(view),
    combine: (c, output, beta) => output.combine(c, view, beta),
    dispose: () => view.dispose(),
  };
}

/** What a window's storage is saved as: plain data. */
export interface SavedGradients {
  /** the rows, slot after slot; bits of bfloat16 as Uint16Array; of sparse rows the values, as they lie in memory */
  readonly gradients: FloatArray | Uint16Array;
  /** of sparse rows: positions beside the values, and the error fed back (d numbers) */
  readonly sparse?: { readonly indices: Uint16Array; readonly error: FloatArray } | undefined;
}

/** Memory for the rows of a window. Calls are queued in order; only `stage` and `save` wait. */
export interface WindowStorage {
  /**
   * Inner products of a gradient, as it would be stored, with rows 0 … count−1, and last with itself. `row` is the
   * storage's until the next `stage`, and changes. Nothing of what is stored changes.
   */
  stage(row: Block, count: number): Promise<Float64Array>;
  /** Row `slot` ← what was staged last. */
  commit(slot: number): void;
  /** Rows 0 … count−1, at least one. */
  rows(count: number): StoredGradients;
  save(count: number): Promise<SavedGradients>;
  /** Throws InputError for what was saved of another window. */
  restore(saved: SavedGradients, count: number): void;
  dispose(): void;
}

/** The products of a row with itself behind those with others. */
export async function withSquare(products: Promise<Float64Array> | null, row: Block): Promise<Float64Array> {
  const [others, own] = await Promise.all([products, row.dots(row)]);
  return Float64Array.from([...(others ?? []), own[0] as number]);
}
