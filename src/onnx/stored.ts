/** Numbers in the type and the field that a tensor of a file keeps them in. */
import { numberToBfloat, numberToHalf } from '../base/convert.js';
import { InputError, InternalError, UnsupportedError } from '../base/errors.js';
import { quoted } from '../base/quote.js';
import { sizeOf } from '../graph/index.js';
import { type ByteRange, encodeTensor, type OnnxTensor, type Replacement, replaceRanges } from './proto/index.js';
import { WireReader } from './proto/wire.js';
import { encodeVarint, WireWriter } from './proto/wire-writer.js';

/** little-endian, in the tensor's own type, rounded to nearest */
export function storedBytes(tensor: OnnxTensor, numbers: ArrayLike<number>): Uint8Array {
  const count = sizeOf(tensor.dims),
    what = `parameter ${quoted(tensor.name)}`;
  if (numbers.length !== count) throw new InputError(`${what} has ${count} elements, got ${numbers.length}`);
  const size = { float32: 4, float64: 8, float16: 2, bfloat16: 2 }[tensor.dataType as string];
  if (size === undefined) throw new UnsupportedError(`${what} is stored as ${tensor.dataType}, which is not written`);
  const bytes = new Uint8Array(count * size),
    view = new DataView(bytes.buffer);
  for (let i = 0; i < count; i++) {
    const value = numbers[i] as number;
    if (tensor.dataType === 'float32') view.setFloat32(4 * i, value, true);
    else if (tensor.dataType === 'float64') view.setFloat64(8 * i, value, true);
    else view.setUint16(2 * i, tensor.dataType === 'float16' ? numberToHalf(value) : numberToBfloat(value), true);
  }
  return bytes;
}

/** the tensor's raw data, or its whole message with the typed field written anew */
export function replacedTensor(file: Uint8Array, tensor: OnnxTensor, bytes: Uint8Array): Replacement {
  const { payload, range } = tensor;
  if (payload.kind === 'raw' && payload.range) return { range: payload.range, bytes };
  if (payload.kind !== 'fields' || !range)
    throw new InputError(`parameter ${quoted(tensor.name)} does not stand in the file`);
  return { range, bytes: withTypedData(file.subarray(range.start, range.end), tensor, bytes) };
}

/** Every other field keeps its bytes and its place; the data stand where they first stood, packed. */
function withTypedData(message: Uint8Array, tensor: OnnxTensor, bytes: Uint8Array): Uint8Array {
  const { field, body } = typedField(tensor, bytes);
  return withField(message, field, body.length > 0 ? body : undefined);
}

/** a message with all occurrences of a length-delimited field replaced by one */
function withField(message: Uint8Array, field: number, body: Uint8Array | undefined): Uint8Array {
  const w = new WireWriter(),
    r = new WireReader(message, 'malformed message');
  let left = body;
  const place = (): void => {
    if (left) w.bytes(field, left);
    left = undefined;
  };
  for (let start = r.at; r.next(); start = r.at) {
    r.skip();
    if (r.field === field) place();
    else w.raw(message.subarray(start, r.at));
  }
  place();
  return w.finish();
}

/** The tensor's message with its data in another file; all else keeps its bytes and its place. */
export function relocatedTensor(file: Uint8Array, { name, range }: OnnxTensor, location: string): Replacement {
  if (!range) throw new InternalError(`tensor ${quoted(name)} does not stand in the file`);
  const entries = 13;
  const w = new WireWriter(),
    r = new WireReader(file, 'malformed message', range.start, range.end);
  for (let start = r.at; r.next(); start = r.at) {
    if (r.field !== entries) {
      r.skip();
      w.raw(file.subarray(start, r.at));
      continue;
    }
    const entry = r.bytes();
    if (keyOf(entry) === 'location') w.bytes(entries, withField(entry, 2, new TextEncoder().encode(location)));
    else w.raw(file.subarray(start, r.at));
  }
  return { range, bytes: w.finish() };
}
function keyOf(entry: Uint8Array): string {
  const r = new WireReader(entry, 'malformed message');
  while (r.next()) {
    if (r.field === 1) return r.string();
    r.skip();
  }
  return '';
}

function typedField(tensor: OnnxTensor, bytes: Uint8Array): { field: number; body: Uint8Array } {
  if (tensor.dataType === 'float32') return { field: 4, body: bytes };
  if (tensor.dataType === 'float64') return { field: 10, body: bytes };
  // half types travel as their bits in int32_data
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
    w = new WireWriter();
  for (let i = 0; i < bytes.length; i += 2) w.raw(encodeVarint(BigInt(view.getUint16(i, true))));
  return { field: 5, body: w.finish() };
}

/**
 * An Identity of an initializer stands for a parameter that was stored once with another of equal values. To get
 * values of its own it reads a new initializer.
 */
export function ownInitializer(
  file: Uint8Array,
  node: number,
  source: OnnxTensor,
  name: string,
  numbers: ArrayLike<number>,
): { replacement: Replacement; initializer: Uint8Array } {
  const range = nodeRange(file, node);
  const tensor = { ...source, name, docString: '', metadata: new Map<string, string>() };
  const payload = { kind: 'raw', bytes: storedBytes(tensor, numbers) } as const;
  return {
    replacement: { range, bytes: withField(file.subarray(range.start, range.end), 1, new TextEncoder().encode(name)) },
    initializer: encodeTensor({ ...tensor, payload }),
  };
}

/** where the node of the main graph stands that is number `index` */
function nodeRange(file: Uint8Array, index: number): ByteRange {
  const graph = graphRange(file);
  const r = new WireReader(file, 'the file changed since it was decoded', graph.start, graph.end);
  for (let left = index; r.next(); ) {
    if (r.field !== 1) r.skip();
    else {
      const { length } = r.bytes();
      if (left-- === 0) return { start: r.at - length, end: r.at };
    }
  }
  throw new InternalError(`the graph has no node ${index}`);
}
function graphRange(file: Uint8Array): ByteRange {
  const r = new WireReader(file, 'the file changed since it was decoded');
  while (r.next()) {
    if (r.field === 7) {
      const { length } = r.bytes();
      return { start: r.at - length, end: r.at };
    }
    r.skip();
  }
  throw new InternalError('the file has no graph');
}

/** the file with initializers added at the end of its graph */
export function withInitializers(file: Uint8Array, added: readonly Uint8Array[]): Uint8Array {
  if (added.length === 0) return file;
  const range = graphRange(file);
  const w = new WireWriter();
  w.raw(file.subarray(range.start, range.end));
  for (const tensor of added) w.bytes(5, tensor);
  return replaceRanges(file, [{ range, bytes: w.finish() }]);
}
