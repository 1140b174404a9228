/** The header of a .safetensors file: its length in 8 bytes, then JSON of dtype, shape and place by name. */
import { InputError, UnsupportedError } from '../base/errors.js';
import { type ArrayDType, checkedCount, elementCount, itemSize, type NdArray } from '../base/ndarray.js';
import { quoted } from '../base/quote.js';
import type { RandomAccessFile } from './random-access.js';

/** What a type of the format is read as; `decode` spells each stored byte in the wider type. */
export interface StoredType {
  readonly dtype: ArrayDType;
  readonly decode?: Uint16Array;
}

export interface SafetensorsEntry {
  readonly name: string;
  readonly type: StoredType;
  readonly shape: readonly number[];
  /** bytes from the start of the file */
  readonly offset: number;
}

/** The format's own limit. */
const headerLimit = 100_000_000;

/** The bytes of an 8-bit float as bits of a wider type that holds every one of its values. */
function widened(bits: (byte: number) => number): Uint16Array {
  return Uint16Array.from({ length: 256 }, (_, byte) => bits(byte));
}
/** E4M3 without infinities: (−1)^s · 2^(e−7) · 1.m, subnormal m · 2^−9; all ones is NaN. Every value is a float16. */
const float8e4m3 = widened((byte) => {
  const sign = (byte & 0x80) << 8;
  const exponent = (byte >> 3) & 15;
  const fraction = byte & 7;
  if ((byte & 0x7f) === 0x7f) return sign | 0x7e00;
  if (exponent > 0) return sign | ((exponent + 8) << 10) | (fraction << 7);
  if (fraction === 0) return sign;
  const top = 31 - Math.clz32(fraction); // leading bit: fraction = 2^top · 1.…
  return sign | ((top + 6) << 10) | ((fraction << (10 - top)) & 0x3ff);
});
/** E5M2 is the upper half of a float16. */
const float8e5m2 = widened((byte) => byte << 8);
/** E8M0: 2^(byte − 127), 255 is NaN; a bfloat16 has the same exponent. */
const float8e8m0 = widened((byte) => (byte === 255 ? 0x7fc0 : byte === 0 ? 0x40 : byte << 7));

const types: ReadonlyMap<string, StoredType> = new Map<string, StoredType>([
  ['F64', { dtype: 'float64' }],
  ['F32', { dtype: 'float32' }],
  ['F16', { dtype: 'float16' }],
  ['BF16', { dtype: 'bfloat16' }],
  ['F8_E4M3', { dtype: 'float16', decode: float8e4m3 }],
  ['F8_E5M2', { dtype: 'float16', decode: float8e5m2 }],
  ['F8_E8M0', { dtype: 'bfloat16', decode: float8e8m0 }],
  ['I64', { dtype: 'int64' }],
  ['I32', { dtype: 'int32' }],
  ['I16', { dtype: 'int16' }],
  ['I8', { dtype: 'int8' }],
  ['U64', { dtype: 'uint64' }],
  ['U32', { dtype: 'uint32' }],
  ['U16', { dtype: 'uint16' }],
  ['U8', { dtype: 'uint8' }],
  ['BOOL', { dtype: 'bool' }],
]);

/** bytes of an element as stored */
export function storedSize({ dtype, decode }: StoredType): number {
  return decode ? 1 : itemSize(dtype);
}

/**
 * The arrays of an open file in the order of their data. As in the format's reference, they must fill the file without
 * gaps or overlaps. Throws InputError for what is malformed, UnsupportedError for types such as complex numbers.
 */
export async function readSafetensorsHeader(file: RandomAccessFile): Promise<SafetensorsEntry[]> {
  const invalid = (why: string): never => {
    throw new InputError(`${file.path} is not a valid .safetensors file: ${why}`);
  };
  if (file.size < 8) return invalid(file.size === 0 ? 'it is empty' : 'it ends within the header');
  const lengthBytes = await file.read(0, 8);
  const length = Number(new DataView(lengthBytes.buffer, lengthBytes.byteOffset).getBigUint64(0, true));
  if (length > headerLimit) invalid(`its header claims ${length} bytes`);
  const start = 8 + length;
  if (start > file.size) invalid('it ends within the header');
  let text = '';
  let header: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(await file.read(8, length));
    header = JSON.parse(text);
  } catch {
    invalid('its header is not JSON');
  }
  if (!isRecord(header)) return invalid('its header is not an object');
  if (outerNames(text) !== Object.keys(header).length) invalid('a name stands there twice');
  const entries: (SafetensorsEntry & { readonly end: number })[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const what = `array ${quoted(name)} in ${file.path}`;
    const { dtype, shape, data_offsets: range } = isRecord(value) ? value : {};
    if (typeof dtype !== 'string' || !isNumbers(shape) || !isNumbers(range) || range.length !== 2)
      return invalid(`${quoted(name)} has no dtype, shape and data_offsets`);
    const type = types.get(dtype);
    if (!type)
      throw new UnsupportedError(`${what} holds elements of type ${quoted(dtype)}; save it as floats or integers`);
    const bytes = checkedCount(shape, what) * storedSize(type);
    const [from, to] = range as [number, number];
    if (!Number.isSafeInteger(from) || to - from !== bytes)
      invalid(
        `${quoted(name)} of shape [${shape.join(', ')}] needs ${bytes} bytes, its data_offsets give ${to - from}`,
      );
    entries.push({ name, type, shape, offset: start + from, end: start + to });
  }
  entries.sort((a, b) => a.offset - b.offset || a.end - b.end);
  let at = start;
  for (const { name, offset, end } of entries) {
    if (offset !== at)
      invalid(`the data of ${quoted(name)} ${offset < at ? 'overlap others' : 'leave a gap before them'}`);
    at = end;
  }
  if (at > file.size) invalid(`it is truncated: its arrays need ${at} bytes, it has ${file.size}`);
  if (at < file.size) invalid(`${file.size - at} bytes follow its last array`);
  return entries;
}

/** How many names the outermost object of a JSON text has; JSON.parse keeps the last of equal ones without a word. */
function outerNames(text: string): number {
  let depth = 0;
  let names = 0;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}:[\]]/g)) {
    if (token === '{' || token === '[') depth++;
    else if (token === '}' || token === ']') depth--;
    else if (token === ':' && depth === 1) names++;
  }
  return names;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'number');
}

const typeNames = new Map([...types].filter(([, { decode }]) => !decode).map(([name, { dtype }]) => [dtype, name]));

/**
 * The header that goes before the arrays' little-endian bytes, in the order in which they are to follow: wide elements
 * first, so that every array is aligned. Equal arrays give equal bytes.
 */
export function buildSafetensorsHeader(arrays: ReadonlyMap<string, NdArray>): { header: Uint8Array; order: string[] } {
  const order = [...arrays]
    .sort(([a, x], [b, y]) => itemSize(y.dtype) - itemSize(x.dtype) || (a < b ? -1 : a > b ? 1 : 0))
    .map(([name]) => name);
  let at = 0;
  const fields = order.map((name) => {
    const { dtype, shape } = arrays.get(name) as NdArray;
    const from = at;
    at += elementCount(shape) * itemSize(dtype);
    const entry = { dtype: typeNames.get(dtype), shape, data_offsets: [from, at] };
    return `${JSON.stringify(name)}:${JSON.stringify(entry)}`;
  });
  const text = Buffer.from(`{${fields.join(',')}}`);
  const padded = Buffer.alloc(8 * Math.ceil(text.length / 8), ' ');
  text.copy(padded);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  return { header: Buffer.concat([length, padded]), order };
}
