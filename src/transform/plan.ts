/**
 * Where scratch values live: each is alive from the instruction that writes it first to the one that reads it last,
 * and values that are never alive together may share bytes. Placement is best fit in order of birth; within a few per
 * cent of the peak of live bytes on the programs we compile.
 */
import type { Storage } from './views.js';

export interface Lifetime {
  readonly storage: Storage;
  readonly first: number;
  readonly last: number;
}

export interface Plan {
  /** byte offset of each scratch storage */
  readonly offsets: ReadonlyMap<Storage, number>;
  readonly bytes: number;
  /** the most bytes alive at once: no plan can need less */
  readonly livePeak: number;
}

const alignment = 64;
export const align = (bytes: number): number => Math.ceil(bytes / alignment) * alignment;

export function planMemory(lifetimes: readonly Lifetime[]): Plan {
  const births = [...lifetimes].sort((a, b) => a.first - b.first || b.storage.bytes - a.storage.bytes);
  const offsets = new Map<Storage, number>();
  let alive: { offset: number; bytes: number; last: number }[] = [];
  let end = 0;
  let livePeak = 0;
  for (const { storage, first, last } of births) {
    alive = alive.filter((a) => a.last >= first);
    const bytes = align(Math.max(1, storage.bytes));
    let best = -1;
    let bestGap = Number.POSITIVE_INFINITY;
    let cursor = 0;
    for (const a of alive) {
      const gap = a.offset - cursor;
      if (gap >= bytes && gap < bestGap) [best, bestGap] = [cursor, gap];
      cursor = Math.max(cursor, a.offset + a.bytes);
    }
    const offset = best >= 0 ? best : cursor;
    offsets.set(storage, offset);
    const at = alive.findIndex((a) => a.offset > offset);
    alive.splice(at < 0 ? alive.length : at, 0, { offset, bytes, last });
    end = Math.max(end, offset + bytes);
    livePeak = Math.max(livePeak, alive.reduce((n, a) => n + a.bytes, 0));
  }
  return { offsets, bytes: end, livePeak };
}
