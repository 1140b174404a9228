/** The header of a .npy file: NumPy's format for one array, versions 1 to 3. */
import { InputError, UnsupportedError } from '../base/errors.js';
import { type ArrayDType, checkedCount, itemSize } from '../base/ndarray.js';
import { quoted } from '../base/quote.js';

export interface NpyHeader {
  readonly dtype: ArrayDType;
  readonly littleEndian: boolean;
  /** The first axis varies fastest. */
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
  /** where the data start, bytes */
  readonly dataOffset: number;
  /** bytes */
  readonly dataLength: number;
}

/** Enough bytes to hold any header that is accepted. NumPy's own are below 200 bytes for plain arrays. */
export const npyHeaderLimit = 16384;

/** NumPy's letter and size → our dtype. */
const dtypes: Readonly<Record<string, ArrayDType>> = {
  f2: 'float16',
  f4: 'float32',
  f8: 'float64',
  i1: 'int8',
  i2: 'int16',
  i4: 'int32',
  i8: 'int64',
  u1: 'uint8',
  u2: 'uint16',
  u4: 'uint32',
  u8: 'uint64',
  b1: 'bool',
};
const typeNames: Readonly<Record<string, string>> = {
  O: 'Python objects',
  U: 'text',
  S: 'byte strings',
  c: 'complex numbers',
  f: 'extended-precision floats',
  V: 'structures',
  M: 'dates',
  m: 'time spans',
};

/**
 * Reads the header from the first bytes of a file: `npyHeaderLimit` of them, or all if it is shorter.
 * `what` names the array in messages. Throws InputError for what is malformed, UnsupportedError for element
 * types this package has no use for.
 */
export function parseNpyHeader(start: Uint8Array, what: string): NpyHeader {
  const invalid = (why: string): never => {
    throw new InputError(`${what} is not a valid .npy array: ${why}`);
  };
  if (start.length === 0) invalid('it is empty');
  const latin1 = (from: number, to: number): string => Buffer.from(start.subarray(from, to)).toString('latin1');
  if (latin1(0, 6) !== '\x93NUMPY') invalid('it does not start with the NumPy magic bytes');
  const major = start[6];
  if (major !== undefined && (major < 1 || major > 3)) invalid(`version ${major} is unknown`);
  const lengthBytes = major === 1 ? 2 : 4;
  const textStart = 8 + lengthBytes;
  if (start.length < textStart) invalid('it ends within the header');
  const view = new DataView(start.buffer, start.byteOffset);
  const length = lengthBytes === 2 ? view.getUint16(8, true) : view.getUint32(8, true);
  const dataOffset = textStart + length;
  if (dataOffset > start.length) {
    invalid(dataOffset > npyHeaderLimit ? `its header claims ${length} bytes` : 'it ends within the header');
  }
  const fields =
    parseDictionary(latin1(textStart, dataOffset)) ?? invalid('its header is not a description of an array');
  const { dtype, littleEndian } = parseDescription(fields.descr, what);
  const count = checkedCount(fields.shape, what);
  const dataLength = count * itemSize(dtype);
  if (!Number.isSafeInteger(dataLength)) invalid(`its shape [${fields.shape.join(', ')}] is too large`);
  return { dtype, littleEndian, fortranOrder: fields.fortranOrder, shape: fields.shape, dataOffset, dataLength };
}

interface Fields {
  readonly descr: string;
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
}

/** The Python dictionary literal of a header: exactly the three keys, in any order. */
function parseDictionary(text: string): Fields | undefined {
  const body = /^\s*\{([\s\S]*)\}\s*$/.exec(text)?.[1];
  if (body === undefined) return undefined;
  const descr = /(['"])descr\1\s*:\s*(?:'([^']*)'|"([^"]*)"|(\[))/.exec(body);
  const order = /(['"])fortran_order\1\s*:\s*(True|False)/.exec(body);
  const shape = /(['"])shape\1\s*:\s*\(([^)]*)\)/.exec(body);
  if (!descr || !order || !shape) return undefined;
  const extents = shape[2]!.split(',').map((each) => each.trim());
  // (3,) and (3, 4,) end in a comma; () is a scalar. Python 2 wrote long integers as 3L.
  if (extents.at(-1) === '') extents.pop();
  if (!extents.every((each) => /^-?\d+L?$/.test(each))) return undefined;
  return {
    descr: descr[4] === '[' ? '|V' : (descr[2] ?? descr[3]!),
    fortranOrder: order[2] === 'True',
    shape: extents.map((each) => Number.parseInt(each, 10)),
  };
}

function parseDescription(descr: string, what: string): { dtype: ArrayDType; littleEndian: boolean } {
  const [, order, letter, size] = /^([<>|=]?)([a-zA-Z?])(\d*)/.exec(descr) ?? [];
  if (letter === undefined)
    throw new InputError(`${what} is not a valid .npy array: unknown element type ${quoted(descr)}`);
  const dtype = letter === '?' ? 'bool' : dtypes[letter + size!];
  if (dtype === undefined) {
    const words = typeNames[letter];
    throw new UnsupportedError(
      `${what} holds ${words ?? 'elements'} of type ${quoted(descr)}; save it as floats or integers`,
    );
  }
  return { dtype, littleEndian: order !== '>' };
}

const descriptions: Readonly<Partial<Record<ArrayDType, string>>> = {
  float16: '<f2',
  float32: '<f4',
  float64: '<f8',
  int8: '|i1',
  int16: '<i2',
  int32: '<i4',
  int64: '<i8',
  uint8: '|u1',
  uint16: '<u2',
  uint32: '<u4',
  uint64: '<u8',
  bool: '|b1',
};

/** The header that goes before row-major, little-endian data; its length is a multiple of 64 bytes. */
export function buildNpyHeader(dtype: ArrayDType, shape: readonly number[]): Uint8Array {
  const descr = descriptions[dtype];
  if (descr === undefined)
    throw new UnsupportedError(`${dtype} arrays cannot be written as .npy; convert them to float32`);
  const tuple = shape.length === 1 ? `${shape[0]!},` : shape.join(', ');
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${tuple}), }`;
  // Version 1 counts the text in 16 bits, more than the 32 axes that NumPy allows can fill.
  const total = Math.ceil((10 + text.length + 1) / 64) * 64;
  const header = Buffer.from(`\x93NUMPY\x01\x00\0\0${text.padEnd(total - 11)}\n`, 'latin1');
  header.writeUInt16LE(total - 10, 8);
  return header;
}
