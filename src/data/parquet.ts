/** Parquet files, decoded by hyparquet: a column of a row group at a time. */
import * as zlib from 'node:zlib';
import type { AsyncBuffer, Compressors, SchemaTree } from 'hyparquet';
import { HessiaError, InputError, messageOf, UnsupportedError } from '../base/errors.js';
import type { ArrayDType } from '../base/ndarray.js';
import { quoted } from '../base/quote.js';
import { loadPeer } from './peers.js';
import type { RandomAccessFile } from './random-access.js';
import type { CellValue, Table, TableColumn } from './table.js';

/** Node has it from 22.15 on. */
const { zstdDecompressSync } = zlib as { zstdDecompressSync?: (data: Uint8Array) => Uint8Array };

/** What Node unpacks; Snappy is in hyparquet. */
const compressors: Compressors = {
  GZIP: (input) => zlib.gunzipSync(input),
  BROTLI: (input) => zlib.brotliDecompressSync(input),
  ...(zstdDecompressSync ? { ZSTD: zstdDecompressSync } : {}),
};

/** An open Parquet file. Its footer is read now. Throws MissingEnvironmentError without hyparquet. */
export async function parquetTable(file: RandomAccessFile): Promise<Table> {
  const { path } = file;
  const parquet = await loadPeer('hyparquet', `the Parquet file ${path}`);
  const buffer: AsyncBuffer = {
    byteLength: file.size,
    async slice(start, end = file.size) {
      const from = start < 0 ? file.size + start : start;
      return (await file.read(from, Math.min(end, file.size) - from)).buffer as ArrayBuffer;
    },
  };
  const attempt = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (error instanceof HessiaError) throw error;
      if (/unsupported compression/.test(messageOf(error)))
        throw new UnsupportedError(
          `${path}: ${messageOf(error)}; save it with compression='snappy'${zstdDecompressSync ? '' : ' (Node 22.15 and later unpack zstd, too)'}`,
          { cause: error },
        );
      throw new InputError(`${path} is not a valid Parquet file: ${messageOf(error)}`, { cause: error });
    }
  };
  const metadata = await attempt(() => parquet.parquetMetadataAsync(buffer));
  const columns = await attempt(async () =>
    parquet.parquetSchema(metadata).children.map((child) => columnOf(child, path)),
  );
  const scan = await attempt(() => parquet.parquetScan({ file: buffer, metadata, compressors, useOffsetIndex: false }));
  return {
    path,
    columns,
    groups: scan.ranges.map(({ rowStart, rowEnd }) => ({ start: rowStart, count: rowEnd - rowStart })),
    read: ({ name }, { start }, count) =>
      attempt(async () => {
        const values = await scan.readColumn({ column: name, rowStart: start, rowEnd: start + count });
        return values as ArrayLike<CellValue>;
      }),
  };
}

/** LIST and the two ways of writing what repeats in it are levels of the tree; the leaf has the type. */
function columnOf(tree: SchemaTree, path: string): TableColumn {
  const { name } = tree.element;
  let depth = 0;
  let node = tree;
  while (node.children.length > 0) {
    const [child, more] = node.children;
    if (!child || more) throw unsupported(name, path, 'structures');
    if (child.element.repetition_type === 'REPEATED') depth++;
    node = child;
  }
  const { type, converted_type: converted, logical_type: logical } = node.element;
  const dtype = dtypeOf(type, logical?.type === 'FLOAT16' ? 'FLOAT16' : converted);
  if (!dtype) throw unsupported(name, path, logical?.type ?? converted ?? type ?? 'no known type');
  return { name, dtype, depth };
}

function dtypeOf(type: string | undefined, meaning: string | undefined): ArrayDType | undefined {
  if (meaning === undefined) return plain[type ?? ''];
  if (meaning === 'FLOAT16') return 'float32'; // decoded to numbers, which float32 holds
  return integers[meaning];
}
const plain: Readonly<Record<string, ArrayDType>> = {
  BOOLEAN: 'bool',
  INT32: 'int32',
  INT64: 'int64',
  FLOAT: 'float32',
  DOUBLE: 'float64',
};
const integers: Readonly<Record<string, ArrayDType>> = {
  INT_8: 'int8',
  INT_16: 'int16',
  INT_32: 'int32',
  INT_64: 'int64',
  UINT_8: 'uint8',
  UINT_16: 'uint16',
  UINT_32: 'uint32',
  UINT_64: 'uint64',
};

function unsupported(name: string, path: string, type: string): UnsupportedError {
  return new UnsupportedError(
    `column ${quoted(name)} of ${path} holds ${type}; keep only columns of numbers and lists of them`,
  );
}
