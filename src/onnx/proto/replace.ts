/** Exchanging tensors inside an encoded file while every other byte stays as it is. */
import { InternalError } from '../../base/errors.js';
import type { ByteRange } from './types.js';
import { WireReader } from './wire.js';
import { encodeVarint } from './wire-writer.js';

/** New bytes for a range of the file: a TensorProto's `range` or raw data's. */
export interface Replacement {
  readonly range: ByteRange;
  readonly bytes: Uint8Array;
}

/**
 * The file with the given length-delimited fields replaced. Bytes outside them are kept, except the lengths of
 * the messages around a field whose own length changed. Ranges come from decodeModel on the same
 * bytes and must not overlap.
 */
export function replaceRanges(file: Uint8Array, replacements: readonly Replacement[]): Uint8Array {
  const sorted = [...replacements].sort((a, b) => a.range.start - b.range.start);
  sorted.forEach(({ range }, i) => {
    if (range.end > (sorted[i + 1]?.range.start ?? file.length)) throw new InternalError('replaced ranges overlap');
  });
  const parts: Uint8Array[] = [];
  const length = rewrite(file, 0, file.length, sorted, parts);
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Appends the rewritten message [start, end) to `parts` and returns its length. */
function rewrite(
  file: Uint8Array,
  start: number,
  end: number,
  replacements: readonly Replacement[],
  parts: Uint8Array[],
): number {
  let length = 0;
  const emit = (part: Uint8Array): void => {
    parts.push(part);
    length += part.length;
  };
  const r = new WireReader(file, 'the file changed since it was decoded', start, end);
  let kept = start; // everything before it has been emitted
  let next = 0; // the first replacement not yet placed
  while (next < replacements.length && r.next()) {
    const tagEnd = r.at;
    r.skip();
    const inside: Replacement[] = [];
    while (next < replacements.length && replacements[next]!.range.end <= r.at) inside.push(replacements[next++]!);
    const first = inside[0];
    if (!first) continue;
    const bodyStart = bodyOf(file, tagEnd);
    const body: Uint8Array[] = [];
    let bodyLength: number;
    if (first.range.start === bodyStart && first.range.end === r.at && inside.length === 1) {
      body.push(first.bytes);
      bodyLength = first.bytes.length;
    } else if (first.range.start > bodyStart) {
      bodyLength = rewrite(file, bodyStart, r.at, inside, body);
    } else {
      throw new InternalError(`no field stands at bytes ${first.range.start} to ${first.range.end}`);
    }
    emit(file.subarray(kept, tagEnd));
    // A length that did not change keeps its spelling, which need not be the shortest.
    emit(bodyLength === r.at - bodyStart ? file.subarray(tagEnd, bodyStart) : encodeVarint(BigInt(bodyLength)));
    for (const part of body) emit(part);
    kept = r.at;
  }
  if (next < replacements.length) {
    throw new InternalError(`no field stands at byte ${replacements[next]!.range.start}`);
  }
  emit(file.subarray(kept, end));
  return length;
}

/** Where the body of a length-delimited field starts whose length stands at `at`. */
function bodyOf(file: Uint8Array, at: number): number {
  let position = at;
  while (file[position]! >= 0x80) position++;
  return position + 1;
}
