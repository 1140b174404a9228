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

interface Placed {
  readonly offset: number;
  readonly bytes: number;
  readonly last: number;
}

export function planMemory(lifetimes: readonly Lifetime[]): Plan {
  const births = [...lifetimes].sort((a, b) => a.first - b.first || b.storage.bytes - a.storage.bytes);
  const offsets = new Map<Storage, number>();
  // by offset; one pass per birth drops the dead, finds the tightest gap and the place to insert
  const alive: Placed[] = [];
  let live = 0;
  let end = 0;
  let livePeak = 0;
  for (const { storage, first, last } of births) {
    const bytes = align(Math.max(1, storage.bytes));
    let kept = 0;
    let at = -1;
    let offset = 0;
    let tightest = Number.POSITIVE_INFINITY;
    let cursor = 0;
    for (const a of alive) {
      if (a.last < first) {
        live -= a.bytes;
        continue;
      }
      const gap = a.offset - cursor;
      if (gap >= bytes && gap < tightest) [at, offset, tightest] = [kept, cursor, gap];
      cursor = a.offset + a.bytes;
      alive[kept++] = a;
    }
    alive.length = kept;
    if (at < 0) [at, offset] = [kept, cursor];
    alive.splice(at, 0, { offset, bytes, last });
    offsets.set(storage, offset);
    live += bytes;
    end = Math.max(end, offset + bytes);
    livePeak = Math.max(livePeak, live);
  }
  return { offsets, bytes: end, livePeak };
}
