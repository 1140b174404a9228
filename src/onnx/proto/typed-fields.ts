/** The typed data fields of TensorProto, which files use instead of raw data. */
import { InputError } from '../../base/errors.js';
import { bitsPerElement, type OnnxDataType } from './datatypes.js';
import { WireReader } from './wire.js';

type Numeric = Exclude<OnnxDataType, 'string' | 'undefined'>;
type Put = (view: DataView, at: number, reader: WireReader) => void;

interface FieldRule {
  readonly field: number;
  readonly wire: 0 | 1 | 5;
  /** Bytes that one entry of the field stands for. */
  readonly size: number;
  readonly put: Put;
}

const putInt: Record<number, Put> = {
  1: (view, at, r) => view.setUint8(at, r.int() & 0xff),
  2: (view, at, r) => view.setUint16(at, r.int() & 0xffff, true),
  4: (view, at, r) => view.setInt32(at, r.int() | 0, true),
};
const putFloat: Put = (view, at, r) => view.setFloat32(at, r.float(), true);
const putDouble: Put = (view, at, r) => view.setFloat64(at, r.double(), true);
const putLong: Put = (view, at, r) => view.setBigInt64(at, r.bigint(), true);
// uint32 travels in uint64_data; `| 0` keeps exactly the low 32 bits of values below 2^53.
const putUint32: Put = (view, at, r) => view.setInt32(at, r.int() | 0, true);

/** onnx.proto's table of which field holds which type. */
function ruleOf(type: Numeric): FieldRule {
  switch (type) {
    case 'float32':
    case 'complex64':
      return { field: 4, wire: 5, size: 4, put: putFloat };
    case 'float64':
    case 'complex128':
      return { field: 10, wire: 1, size: 8, put: putDouble };
    case 'int64':
      return { field: 7, wire: 0, size: 8, put: putLong };
    case 'uint64':
      return { field: 11, wire: 0, size: 8, put: putLong };
    case 'uint32':
      return { field: 11, wire: 0, size: 4, put: putUint32 };
    default: {
      // int32_data holds one entry per element, or per byte for types that pack several elements into one.
      const size = Math.max(1, bitsPerElement[type] / 8);
      return { field: 5, wire: 0, size, put: putInt[size]! };
    }
  }
}

/** The entries as packed little-endian bytes: what raw_data would hold. */
export function typedFieldValues(message: Uint8Array, type: Numeric, expected: number, what: string): Uint8Array {
  const rule = ruleOf(type);
  // The extents may lie: nothing larger is allocated than the message can fill (an entry takes a byte or more).
  if (expected > message.length * rule.size) {
    throw new InputError(`${what} has too little data for its shape, which needs ${expected} bytes`);
  }
  const bytes = new Uint8Array(expected);
  const view = new DataView(bytes.buffer);
  const r = new WireReader(message, `${what} has malformed data`);
  let at = 0;
  while (r.next()) {
    if (r.field !== rule.field) {
      r.skip();
      continue;
    }
    r.repeated(rule.wire, (each) => {
      if (at + rule.size > expected) throw new InputError(`${what} has more values than its shape needs`);
      rule.put(view, at, each);
      at += rule.size;
    });
  }
  if (at !== expected) {
    throw new InputError(`${what} has ${at} bytes of data where its shape needs ${expected}`);
  }
  return bytes;
}

export function typedStrings(message: Uint8Array, what: string): string[] {
  const r = new WireReader(message, `${what} has malformed data`);
  const strings: string[] = [];
  while (r.next()) {
    if (r.field === 6) strings.push(r.string());
    else r.skip();
  }
  return strings;
}
