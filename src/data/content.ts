/** What a data file gives: arrays for inputs, perhaps a target. */
import type { ArraySource } from './source.js';

export interface Content {
  /** '' is the only array of a file that gives no names */
  readonly inputs: ReadonlyMap<string, ArraySource>;
  readonly target: ArraySource | undefined;
  /** Whether the file gives the names itself. */
  readonly named: boolean;
  /** bytes are intensities, whatever the model wants */
  readonly images: boolean;
}

/** What is looked for in a file: everything, or one of the two. */
export type Role = 'data' | 'inputs' | 'target';
