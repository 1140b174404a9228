/** Tables of columns that are stored in groups of rows: Parquet and Arrow files. */
import { InputError } from '../base/errors.js';
import { type ArrayDType, arrayStorage, elementCount, type NdArray } from '../base/ndarray.js';
import { quoted } from '../base/quote.js';
import type { Content, Role } from './content.js';
import { findColumn } from './csv.js';
import { asFeatures, concatenated } from './joined.js';
import { type ArraySource, lazySource } from './source.js';

export interface TableColumn {
  readonly name: string;
  readonly dtype: ArrayDType;
  /** how deep its lists are nested; 0 for a column of numbers */
  readonly depth: number;
}

/** Rows that can only be decoded together. */
export interface RowGroup {
  readonly start: number;
  readonly count: number;
}

/** A row's value as a library decodes it; lists may be typed arrays. */
export type CellValue = number | bigint | boolean | null | undefined | ArrayLike<CellValue>;

export interface Table {
  readonly path: string;
  readonly columns: readonly TableColumn[];
  readonly groups: readonly RowGroup[];
  /** The first `count` values of a column in a group. */
  read(column: TableColumn, group: RowGroup, count: number): Promise<ArrayLike<CellValue>>;
}

/**
 * Columns → arrays. The target is `targetColumn`, else the column of that name if there is one. If all others are
 * numbers they are the features of one input, as in CSV; if any is a list, each is an input of its own.
 */
export async function tableContent(
  table: Table,
  targetColumn: string | number | undefined,
  role: Role,
): Promise<Content> {
  const { path, columns } = table;
  const names = columns.map(({ name }) => name);
  const wanted = role === 'inputs' ? undefined : targetColumn;
  const byName = names.includes('target') ? 'target' : role === 'target' && names.length === 1 ? 0 : undefined;
  const chosen = wanted ?? byName;
  const targetAt = chosen === undefined ? -1 : findColumn(path, chosen, names, true);
  const target = columns[targetAt];
  const others = columns.filter((_, i) => i !== targetAt);
  const sources = new Map<string, ArraySource>();
  for (const column of others) {
    if (sources.has(column.name)) throw new InputError(`${path} has two columns named ${quoted(column.name)}`);
    sources.set(column.name, await columnSource(table, column));
  }
  const named = others.some(({ depth }) => depth > 0);
  const [first, ...rest] = sources.values();
  return {
    inputs: named || !first ? sources : new Map([['', asFeatures([first, ...rest], path)]]),
    target: target && (await columnSource(table, target)),
    named,
    images: false,
  };
}

async function columnSource(table: Table, column: TableColumn): Promise<ArraySource> {
  const what = `column ${quoted(column.name)} of ${table.path}`;
  const { dtype } = column;
  const [first] = table.groups;
  if (!first) throw new InputError(`${table.path} holds no samples`);
  const sampleShape = column.depth > 0 ? shapeOf((await table.read(column, first, 1))[0], column.depth, what) : [];
  const piece = (group: RowGroup): ArraySource =>
    lazySource(dtype, [group.count, ...sampleShape], what, async () => {
      const values = await table.read(column, group, group.count);
      return toArray(values, dtype, [group.count, ...sampleShape], what, group.start);
    });
  return concatenated([piece(first), ...table.groups.slice(1).map(piece)], what);
}

/** Of the first row's list; the others must agree. */
function shapeOf(value: CellValue, depth: number, what: string): number[] {
  if (depth === 0) return [];
  if (!isList(value)) throw new InputError(`${what}: sample 0 has no value`);
  return [value.length, ...(depth > 1 ? shapeOf(value[0], depth - 1, what) : [])];
}

function isList(value: CellValue): value is ArrayLike<CellValue> {
  return typeof value === 'object' && value !== null;
}

/** `start`: the sample that the first row is, for messages. */
function toArray(
  rows: ArrayLike<CellValue>,
  dtype: ArrayDType,
  shape: readonly number[],
  what: string,
  start: number,
): NdArray {
  const data = new arrayStorage[dtype](elementCount(shape));
  const wide = dtype === 'int64' || dtype === 'uint64';
  let at = 0;
  const copied = (values: CellValue): boolean => {
    if (!ArrayBuffer.isView(values) || values.constructor !== data.constructor) return false;
    (data as Float32Array).set(values as Float32Array, at);
    at += (values as Float32Array).length;
    return true;
  };
  const put = (value: CellValue, axis: number, sample: number): void => {
    if (axis < shape.length) {
      if (!isList(value)) throw new InputError(`${what}: sample ${sample} has no value`);
      if (value.length !== shape[axis])
        throw new InputError(
          `${what}: sample ${sample} has ${value.length} values where the first has ${shape[axis]}; all must have as many`,
        );
      if (axis === shape.length - 1 && copied(value)) return;
      for (let i = 0; i < value.length; i++) put(value[i], axis + 1, sample);
      return;
    }
    if (value === null || value === undefined || isList(value))
      throw new InputError(`${what}: sample ${sample} has no value`);
    data[at++] = wide ? BigInt(value) : Number(value);
  };
  if (shape.length > 1 || !copied(rows)) for (let i = 0; i < rows.length; i++) put(rows[i], 1, start + i);
  return { dtype, shape, data } as NdArray;
}
