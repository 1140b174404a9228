/** The protobuf wire format, as far as ONNX uses it (no groups). Reads views; copies nothing. */
import { InputError } from '../../base/errors.js';

/** Deeper nesting than any exporter writes; protobuf's own readers stop at 100. */
const maxDepth = 100;

const utf8 = new TextDecoder('utf-8', { fatal: false });

/**
 * Walks the fields of one message:
 *
 *     while (r.next()) switch (r.field) { case 1: x = r.int(); break; default: r.skip(); }
 *
 * Every field must be consumed by exactly one call. Whatever is malformed throws an InputError that gives the
 * position in the file.
 */
export class WireReader {
  /** number of the current field */
  field = 0;
  private wire = 0;
  private low = 0;
  private high = 0;

  constructor(
    readonly buffer: Uint8Array,
    /** start of every message, such as "m.onnx is not a valid ONNX file" */
    readonly complaint: string,
    private position = 0,
    private readonly end = buffer.length,
    private readonly depth = 0,
  ) {}

  get at(): number {
    return this.position;
  }

  fail(what: string, at = this.position): never {
    throw new InputError(`${this.complaint}: ${what} at byte ${at}`);
  }

  /** Reads the next tag; false at the end of the message. */
  next(): boolean {
    if (this.position >= this.end) return false;
    const at = this.position;
    this.varint();
    this.field = this.low >>> 3;
    this.wire = this.low & 7;
    if (this.field === 0 || this.high !== 0) this.fail('impossible field number', at);
    return true;
  }

  skip(): void {
    switch (this.wire) {
      case 0:
        this.varint();
        return;
      case 1:
        this.advance(8);
        return;
      case 2:
        this.bytes();
        return;
      case 5:
        this.advance(4);
        return;
      default:
        this.fail(`unknown wire type ${this.wire} of field ${this.field}`);
    }
  }

  /** An int64 or enum; rounded beyond 2^53. */
  int(): number {
    this.expect(0);
    this.varint();
    return (this.high | 0) * 0x1_0000_0000 + this.low;
  }

  /** A length, version or extent: must be exact and not negative. */
  size(what: string): number {
    const at = this.position;
    const value = this.int();
    if (!Number.isSafeInteger(value) || value < 0) this.fail(`impossible ${what} ${value}`, at);
    return value;
  }

  float(): number {
    this.expect(5);
    return this.view(4).getFloat32(0, true);
  }

  double(): number {
    this.expect(1);
    return this.view(8).getFloat64(0, true);
  }

  /** A view of a length-delimited field. */
  bytes(): Uint8Array {
    this.expect(2);
    const at = this.position;
    this.varint();
    const length = this.high * 0x1_0000_0000 + this.low;
    if (length > this.end - this.position) {
      this.fail(`field ${this.field} claims ${length} bytes where ${this.end - this.position} are left`, at);
    }
    const start = this.advance(length);
    return this.buffer.subarray(start, this.position);
  }

  string(): string {
    return utf8.decode(this.bytes());
  }

  /** A reader for a nested message. */
  message(): WireReader {
    const inner = this.bytes();
    if (this.depth + 1 > maxDepth) this.fail(`messages are nested more than ${maxDepth} deep`);
    return new WireReader(this.buffer, this.complaint, this.position - inner.length, this.position, this.depth + 1);
  }

  /** Repeated numbers, which files may write packed or one by one: calls `read` for each. */
  repeated(wire: 0 | 1 | 5, read: (reader: WireReader) => void): void {
    if (this.wire !== 2) {
      this.expect(wire);
      read(this);
      return;
    }
    const packed = this.bytes();
    const inner = new WireReader(this.buffer, this.complaint, this.position - packed.length, this.position, this.depth);
    inner.field = this.field;
    inner.wire = wire;
    while (inner.position < inner.end) read(inner);
  }

  /** The last varint as an exact 64-bit integer, signed. Reads it like `int`. */
  bigint(): bigint {
    this.expect(0);
    this.varint();
    return (BigInt(this.high | 0) << 32n) | BigInt(this.low);
  }

  private expect(wire: number): void {
    if (this.wire !== wire) this.fail(`field ${this.field} has wire type ${this.wire} instead of ${wire}`);
  }

  private advance(count: number): number {
    const start = this.position;
    if (count > this.end - start) this.fail('the file ends in the middle of a value', this.end);
    this.position = start + count;
    return start;
  }

  private view(count: number): DataView {
    const start = this.advance(count);
    return new DataView(this.buffer.buffer, this.buffer.byteOffset + start, count);
  }

  /** Leaves the 64 bits in `low` and `high`, both unsigned. */
  private varint(): void {
    const start = this.position;
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.position >= this.end) this.fail('the file ends in the middle of a number', start);
      const byte = this.buffer[this.position++]!;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32); // from shift 63 on, all but the lowest bit fall off the top
      if (byte < 0x80) {
        this.low = low >>> 0;
        this.high = high >>> 0;
        return;
      }
    }
    this.fail('a number longer than ten bytes', start);
  }
}
