/**
 * Where scratch values live: each is alive from the instruction that writes it first to the one that reads it last,
 * and values that are never alive together may share bytes. Two orders of placement are tried, each into the tightest
 * gap: by birth, which is exact where values come and go like a stack, and the longest-lived first, which is better where
 * values that stay are born between values that go. The better of the two is within a few per cent of the peak of live
 * bytes.
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

/** The second order compares every value with every other: beyond this many it would take too long. */
const mostCompared = 20_000;
/** slack below which a second try is not worth its time */
const closeEnough = 1.02;

export function planMemory(lifetimes: readonly Lifetime[]): Plan {
  const byBirth = planByBirth(lifetimes);
  if (byBirth.bytes <= closeEnough * byBirth.livePeak || lifetimes.length > mostCompared) return byBirth;
  const byLife = planByLife(lifetimes);
  return byLife.bytes < byBirth.bytes ? { ...byLife, livePeak: byBirth.livePeak } : byBirth;
}

const sizeOf = (l: Lifetime): number => align(Math.max(1, l.storage.bytes));

interface Placed {
  readonly offset: number;
  readonly bytes: number;
  readonly last: number;
}

function planByBirth(lifetimes: readonly Lifetime[]): Plan {
  const births = [...lifetimes].sort((a, b) => a.first - b.first || b.storage.bytes - a.storage.bytes);
  const offsets = new Map<Storage, number>();
  // by offset; one pass per birth drops the dead, finds the tightest gap and the place to insert
  const alive: Placed[] = [];
  let live = 0;
  let end = 0;
  let livePeak = 0;
  for (const l of births) {
    const bytes = sizeOf(l);
    let kept = 0;
    let at = -1;
    let offset = 0;
    let tightest = Number.POSITIVE_INFINITY;
    let cursor = 0;
    for (const a of alive) {
      if (a.last < l.first) {
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
    alive.splice(at, 0, { offset, bytes, last: l.last });
    offsets.set(l.storage, offset);
    live += bytes;
    end = Math.max(end, offset + bytes);
    livePeak = Math.max(livePeak, live);
  }
  return { offsets, bytes: end, livePeak };
}

function planByLife(lifetimes: readonly Lifetime[]): Omit<Plan, 'livePeak'> {
  const life = (l: Lifetime): number => l.last - l.first;
  const longestFirst = [...lifetimes].sort((a, b) => life(b) - life(a) || sizeOf(b) - sizeOf(a) || a.first - b.first);
  const offsets = new Map<Storage, number>();
  const placed: (Placed & { readonly first: number })[] = []; // by offset
  let end = 0;
  for (const l of longestFirst) {
    const bytes = sizeOf(l);
    let offset = -1;
    let tightest = Number.POSITIVE_INFINITY;
    let cursor = 0;
    for (const p of placed) {
      if (p.last < l.first || l.last < p.first) continue;
      const gap = p.offset - cursor;
      if (gap >= bytes && gap < tightest) [offset, tightest] = [cursor, gap];
      cursor = Math.max(cursor, p.offset + p.bytes);
    }
    if (offset < 0) offset = cursor;
    const at = placed.findIndex((p) => p.offset > offset);
    placed.splice(at < 0 ? placed.length : at, 0, { offset, bytes, first: l.first, last: l.last });
    offsets.set(l.storage, offset);
    end = Math.max(end, offset + bytes);
  }
  return { offsets, bytes: end };
}
