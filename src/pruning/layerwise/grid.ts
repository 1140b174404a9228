/**
 * Weights in few bits: w = scale · (q − zero), q an integer of `bits` bits, scale and zero per row and group of columns.
 *
 *   symmetric    zero = 0, scale = 2·max|w|/(2^bits − 1), q signed
 *   otherwise    scale = (max − min)/(2^bits − 1), zero = round(−min/scale), q unsigned; max and min include 0
 *
 * 0 is always one of the numbers. Scales are rounded to float32, as files store them.
 */
import { InputError } from '../../base/errors.js';
import type { Block } from '../../device/block.js';
import type { Device } from '../../device/device.js';
import type { GridRows } from '../../device/native.js';

export interface GridOptions {
  /** 2 to 8 */
  readonly bits: number;
  /** neighbouring columns that share a scale. Default: all of a row */
  readonly group?: number | undefined;
  readonly symmetric?: boolean | undefined;
}

/** What the integers are, for each row and group of columns. */
export interface Grid {
  readonly low: number;
  readonly high: number;
  readonly symmetric: boolean;
  /** columns of a group; the last may have fewer */
  readonly group: number;
  readonly groups: number;
  /** rows × groups */
  readonly scales: Float64Array;
  readonly zeros: Float64Array;
}

/** Throws InputError for bits or a group out of range. */
export function gridRange({ bits, group, symmetric = false }: GridOptions): { low: number; high: number } {
  if (!Number.isSafeInteger(bits) || bits < 2 || bits > 8)
    throw new InputError(`weights are quantised to 2 to 8 bits, not ${bits}`);
  if (group !== undefined && (!Number.isSafeInteger(group) || group < 1))
    throw new InputError(`a group must be a whole number of at least 1 column, not ${group}`);
  return symmetric ? { low: -(2 ** (bits - 1)), high: 2 ** (bits - 1) - 1 } : { low: 0, high: 2 ** bits - 1 };
}

/** A grid on the device that a call fills. */
export class DeviceGrid {
  readonly native: GridRows;
  readonly #options: GridOptions;
  readonly #scales: Block;
  readonly #zeros: Block;

  /** @param later see GridRows  @param order the column of the layer at each place */
  constructor(device: Device, rows: number, order: ArrayLike<number>, options: GridOptions, later: boolean) {
    const range = gridRange(options);
    const { symmetric = false } = options;
    const size = Math.min(options.group ?? order.length, order.length);
    const group = Int32Array.from(order, (j) => Math.floor(j / size));
    const groups = Math.ceil(order.length / size);
    this.#options = { ...options, group: size };
    this.#scales = device.block('float64', groups, rows);
    this.#zeros = device.block('float64', groups, rows);
    this.native = { ...range, symmetric, later, group, scales: this.#scales.native, zeros: this.#zeros.native };
  }

  async read(): Promise<Grid> {
    const { low, high, symmetric } = this.native;
    const [scales, zeros] = [await this.#scales.readFloat64(), await this.#zeros.readFloat64()];
    return {
      low,
      high,
      symmetric,
      group: this.#options.group as number,
      groups: this.#scales.dimension,
      scales,
      zeros,
    };
  }
  dispose(): void {
    this.#scales.dispose();
    this.#zeros.dispose();
  }
}

/** The integers of weights that lie on their grid: rows × columns. */
export function codes(weights: Float64Array, columns: number, grid: Grid): Int32Array {
  return Int32Array.from(weights, (w, at) => {
    const g = Math.floor(at / columns) * grid.groups + Math.floor((at % columns) / grid.group);
    return Math.round(w / (grid.scales[g] as number)) + (grid.zeros[g] as number);
  });
}
