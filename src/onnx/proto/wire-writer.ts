/** Writes the protobuf wire format: the counterpart of WireReader. */

const utf8 = new TextEncoder();

/** Collects the fields of one message; `finish` joins them. Field numbers are at most 2^28. */
export class WireWriter {
  private readonly parts: Uint8Array[] = [];
  private length = 0;

  /** An int64; numbers at or beyond 2^63 become INT64_MAX, so that a rounded INT64_MAX is written as it was. */
  int(field: number, value: number | bigint): this {
    this.tag(field, 0);
    return this.varint(toInt64(value));
  }

  float(field: number, value: number): this {
    this.tag(field, 5);
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    return this.raw(bytes);
  }

  bytes(field: number, value: Uint8Array): this {
    this.tag(field, 2);
    this.varint(BigInt(value.length));
    return this.raw(value);
  }

  string(field: number, value: string): this {
    return this.bytes(field, utf8.encode(value));
  }

  /** Absent in the file when empty: how protobuf leaves defaults out. */
  text(field: number, value: string): this {
    return value === '' ? this : this.string(field, value);
  }

  message(field: number, write: (inner: WireWriter) => void): this {
    const inner = new WireWriter();
    write(inner);
    return this.bytes(field, inner.finish());
  }

  packedInts(field: number, values: readonly number[]): this {
    if (values.length === 0) return this;
    const inner = new WireWriter();
    for (const value of values) inner.varint(toInt64(value));
    return this.bytes(field, inner.finish());
  }

  packedFloats(field: number, values: readonly number[]): this {
    if (values.length === 0) return this;
    const bytes = new Uint8Array(4 * values.length);
    const view = new DataView(bytes.buffer);
    for (const [i, value] of values.entries()) view.setFloat32(4 * i, value, true);
    return this.bytes(field, bytes);
  }

  /** Bytes that are already encoded. */
  raw(bytes: Uint8Array): this {
    this.parts.push(bytes);
    this.length += bytes.length;
    return this;
  }

  finish(): Uint8Array {
    const out = new Uint8Array(this.length);
    let at = 0;
    for (const part of this.parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }

  private tag(field: number, wire: number): void {
    this.varint(BigInt(field * 8 + wire));
  }

  private varint(value: bigint): this {
    return this.raw(encodeVarint(value));
  }
}

/** Seven bits a byte, lowest first; negative numbers as their 64-bit two's complement. */
export function encodeVarint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Uint8Array.from(bytes);
}

const int64Max = 2n ** 63n - 1n;

function toInt64(value: number | bigint): bigint {
  const exact = BigInt(value);
  return exact > int64Max ? int64Max : exact < -int64Max - 1n ? -int64Max - 1n : exact;
}
