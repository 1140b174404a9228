/** TensorProto and SparseTensorProto: structure and checks; the numbers stay where they are. */
import { quoted } from '../../base/quote.js';
import { type OnnxDataType, onnxDataTypes } from './datatypes.js';
import type { OnnxExternal, OnnxPayload, OnnxSparseTensor, OnnxTensor } from './types.js';
import type { WireReader } from './wire.js';

/** What decoding needs to know about the file. */
export interface Source {
  /** absolute path of the model file, where there is one */
  readonly model: string | undefined;
}

export function dataTypeOf(r: WireReader): OnnxDataType {
  const at = r.at;
  const code = r.int();
  const type = onnxDataTypes[code];
  if (type === undefined) r.fail(`unknown tensor data type ${code}`, at);
  return type;
}

/** A StringStringEntryProto, added to `into`. */
export function decodeEntry(r: WireReader, into: Map<string, string>): void {
  let key = '';
  let value = '';
  while (r.next()) {
    if (r.field === 1) key = r.string();
    else if (r.field === 2) value = r.string();
    else r.skip();
  }
  into.set(key, value);
}

export function decodeTensor(r: WireReader, source: Source): OnnxTensor {
  const start = r.at;
  let name = '';
  let docString = '';
  let dataType: OnnxDataType = 'undefined';
  const dims: number[] = [];
  const metadata = new Map<string, string>();
  const external = new Map<string, string>();
  let isExternal = false;
  let raw: OnnxPayload | undefined;
  while (r.next()) {
    switch (r.field) {
      case 1:
        r.repeated(0, (each) => dims.push(each.size(`extent of tensor ${quoted(name)}`)));
        break;
      case 2:
        dataType = dataTypeOf(r);
        break;
      case 8:
        name = r.string();
        break;
      case 9: {
        const bytes = r.bytes();
        raw = { kind: 'raw', bytes, range: { start: r.at - bytes.length, end: r.at } };
        break;
      }
      case 12:
        docString = r.string();
        break;
      case 13:
        decodeEntry(r.message(), external);
        break;
      case 14:
        isExternal = r.int() === 1;
        break;
      case 16:
        decodeEntry(r.message(), metadata);
        break;
      default:
        // Among these the typed data: walked over here, so that what is malformed shows now, read on demand.
        r.skip();
    }
  }
  const range = { start, end: r.at };
  const payload = isExternal
    ? externalPayload(r, name, external, source)
    : (raw ?? { kind: 'fields', message: r.buffer.subarray(range.start, range.end) });
  return { name, docString, dataType, dims, payload, metadata, range };
}

function externalPayload(
  r: WireReader,
  name: string,
  entries: ReadonlyMap<string, string>,
  source: Source,
): OnnxExternal {
  const location = entries.get('location');
  if (!location) r.fail(`tensor ${quoted(name)} has external data without a location`);
  const number = (key: string): number | undefined => {
    const text = entries.get(key);
    if (text === undefined || text === '') return undefined;
    const value = /^\d+$/.test(text) ? Number(text) : NaN;
    if (!Number.isSafeInteger(value))
      r.fail(`tensor ${quoted(name)} has the impossible external ${key} ${quoted(text)}`);
    return value;
  };
  const length = number('length');
  return {
    kind: 'external',
    location,
    offset: number('offset') ?? 0,
    ...(length === undefined ? {} : { length }),
    ...(source.model === undefined ? {} : { model: source.model }),
  };
}

export function decodeSparseTensor(r: WireReader, source: Source): OnnxSparseTensor {
  let values: OnnxTensor | undefined;
  let indices: OnnxTensor | undefined;
  const dims: number[] = [];
  while (r.next()) {
    switch (r.field) {
      case 1:
        values = decodeTensor(r.message(), source);
        break;
      case 2:
        indices = decodeTensor(r.message(), source);
        break;
      case 3:
        r.repeated(0, (each) => dims.push(each.size('extent of a sparse tensor')));
        break;
      default:
        r.skip();
    }
  }
  if (!values || !indices) r.fail('a sparse tensor without values or indices');
  return { values, indices, dims };
}
