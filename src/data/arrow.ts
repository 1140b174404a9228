/**
 * Arrow IPC files (Feather V2) and streams, decoded by apache-arrow: a record batch at a time. A file is a stream of
 * messages between a magic word and a footer, so that both are read by walking over the messages' headers.
 */
import type { DataType, RecordBatch, Vector } from 'apache-arrow';
import { HessiaError, InputError, messageOf, UnsupportedError } from '../base/errors.js';
import { type ArrayDType, arrayStorage } from '../base/ndarray.js';
import { quoted } from '../base/quote.js';
import { loadPeer } from './peers.js';
import type { RandomAccessFile } from './random-access.js';
import type { CellValue, RowGroup, Table, TableColumn } from './table.js';

type Arrow = typeof import('apache-arrow');

export const arrowMagic = 'ARROW1';
/** Of a message's header, not its data. */
const headerLimit = 2 ** 26;

interface Place extends RowGroup {
  /** of the whole message, bytes */
  readonly offset: number;
  readonly length: number;
}

/** An open file or stream. Headers are read now. Throws MissingEnvironmentError without apache-arrow. */
export async function arrowTable(file: RandomAccessFile): Promise<Table> {
  const { path } = file;
  const arrow = await loadPeer('apache-arrow', `the Arrow file ${path}`);
  const attempt = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (error instanceof HessiaError) throw error;
      throw new InputError(`${path} is not a valid Arrow file: ${messageOf(error)}`, { cause: error });
    }
  };
  const { schema, batches } = await attempt(() => walk(file, arrow));
  const empty = await attempt(async () => arrow.tableFromIPC([schema]));
  const columns = empty.schema.fields.map(({ name, type }) => columnOf(arrow, name, type, path));
  const decode = async ({ offset, length }: Place): Promise<RecordBatch> => {
    const table = arrow.tableFromIPC([schema, await file.read(offset, length)]);
    return table.batches[0] as RecordBatch;
  };
  return {
    path,
    columns,
    groups: batches,
    read: (column, group, count) =>
      attempt(async () => {
        const batch = await decode(group as Place);
        const vector = batch.getChild(column.name);
        if (!vector) throw new InputError(`the record batch lacks column ${quoted(column.name)}`);
        const values = cells(vector, arrayStorage[column.dtype], column.dtype === 'bool');
        return values.length === count ? values : Array.from({ length: count }, (_, i) => values[i]);
      }),
  };
}

/**
 * Values of a vector, lists within lists. Typed arrays without a copy, unless they hold bits (truth values, halves) or
 * garbage where a value is missing.
 */
function cells(vector: Vector, storage: unknown, bits: boolean): ArrayLike<CellValue> {
  if (!bits && vector.nullCount === 0) {
    const values: unknown = vector.toArray();
    if (ArrayBuffer.isView(values) && values.constructor === storage) return values as unknown as ArrayLike<CellValue>;
  }
  return Array.from(vector as Iterable<unknown>, (value) =>
    isVector(value) ? cells(value, storage, bits) : (value as CellValue),
  );
}
function isVector(value: unknown): value is Vector {
  return typeof value === 'object' && value !== null && 'toArray' in value;
}

/** The schema's message and where the record batches stand. */
async function walk(file: RandomAccessFile, arrow: Arrow): Promise<{ schema: Uint8Array; batches: Place[] }> {
  const magic = Buffer.from(await file.read(0, Math.min(6, file.size))).toString('latin1');
  let at = magic === arrowMagic ? 8 : 0;
  let schema: Uint8Array | undefined;
  const batches: Place[] = [];
  let start = 0;
  while (at + 8 <= file.size) {
    const prefix = await file.read(at, 8);
    const view = new DataView(prefix.buffer, prefix.byteOffset);
    if (view.getUint32(0, true) !== 0xffffffff)
      throw new InputError(
        `${file.path} is not a valid Arrow file: a message lacks its mark (or it precedes Arrow 0.15)`,
      );
    const length = view.getInt32(4, true);
    if (length === 0) break;
    if (length < 0 || length > headerLimit || at + 8 + length > file.size)
      throw new InputError(`${file.path} is not a valid Arrow file: a message's header lies outside it`);
    const message = arrow.Message.decode(await file.read(at + 8, length));
    const total = 8 + length + message.bodyLength;
    if (message.bodyLength < 0 || at + total > file.size)
      throw new InputError(`${file.path} is truncated: a message's data lie outside it`);
    if (message.isSchema()) schema ??= await file.read(at, total);
    else if (message.isRecordBatch()) {
      const header = message.header();
      refuseCompressed(file.path, arrow, header.compression?.type);
      const count = header.length;
      if (count > 0) batches.push({ offset: at, length: total, start, count });
      start += count;
    }
    at += total;
  }
  if (!schema) throw new InputError(`${file.path} is not a valid Arrow file: it has no schema`);
  return { schema, batches };
}

/** apache-arrow unpacks what codecs have been registered for; it comes with none. */
function refuseCompressed(path: string, arrow: Arrow, type: number | undefined): void {
  if (type === undefined || arrow.compressionRegistry.get(type)?.decode) return;
  throw new UnsupportedError(
    `${path} is compressed (${arrow.CompressionType[type] ?? type}); write it with compression='uncompressed', or register a codec with apache-arrow`,
  );
}

function columnOf(arrow: Arrow, name: string, type: DataType, path: string): TableColumn {
  let depth = 0;
  let leaf = type;
  while (arrow.DataType.isList(leaf) || arrow.DataType.isFixedSizeList(leaf)) {
    depth++;
    leaf = leaf.valueType as DataType;
  }
  const dtype = dtypeOf(arrow, leaf);
  if (!dtype)
    throw new UnsupportedError(
      `column ${quoted(name)} of ${path} holds ${type}; keep only columns of numbers and lists of them`,
    );
  return { name, dtype, depth };
}

function dtypeOf({ DataType: is, Precision }: Arrow, type: DataType): ArrayDType | undefined {
  if (is.isBool(type)) return 'bool';
  if (is.isInt(type)) return `${type.isSigned ? 'int' : 'uint'}${type.bitWidth}` as ArrayDType;
  // halves are decoded to numbers, which float32 holds
  if (is.isFloat(type)) return type.precision === Precision.DOUBLE ? 'float64' : 'float32';
  return undefined;
}
