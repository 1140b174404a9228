/** Which groups go: those of the smallest scores, over all layers or in each, within what the pattern allows. */
import { ComputationError } from '../base/errors.js';
import type { Candidates } from './pattern.js';

/** Whether layers compete ('global'), or each is pruned to the same share ('layer'). */
export type Scope = 'global' | 'layer';

/** true where all of a group is gone */
export function goneGroups({ count, starts, members }: Candidates, kept: Uint8Array): Uint8Array {
  const gone = new Uint8Array(count).fill(1);
  for (let g = 0; g < count; g++)
    for (let i = starts[g] as number; i < (starts[g + 1] as number); i++) if (kept[members[i] as number]) gone[g] = 0;
  return gone;
}

/** Groups to be gone at a sparsity, of each layer and in all: round(s · groups), and no more than the cells allow. */
export function targetsOf(
  { count, layer, cells }: Candidates,
  layers: number,
  sparsity: number,
): { total: number; byLayer: number[] } {
  const groups = new Array<number>(layers).fill(0);
  for (const l of layer) groups[l] = (groups[l] as number) + 1;
  const most = cells ? new Array<number>(layers).fill(0) : groups;
  if (cells) {
    const layerOf = new Int32Array(cells.most.length);
    cells.of.forEach((cell, g) => {
      layerOf[cell] = layer[g] as number;
    });
    cells.most.forEach((n, cell) => {
      const l = layerOf[cell] as number;
      most[l] = (most[l] as number) + n;
    });
  }
  return {
    total: Math.min(
      Math.round(sparsity * count),
      most.reduce((a, b) => a + b, 0),
    ),
    byLayer: groups.map((n, l) => Math.min(Math.round(sparsity * n), most[l] as number)),
  };
}

/**
 * What is kept when so many groups are gone, those gone already among them: in all ('global') or of each layer. Of equal
 * scores the first goes. Throws ComputationError for a score that is not finite.
 */
export function select(
  groups: Candidates,
  scores: Float64Array,
  kept: Uint8Array,
  targets: ReturnType<typeof targetsOf>,
  scope: Scope,
): Uint8Array {
  const bad = scores.findIndex((s) => !Number.isFinite(s));
  if (bad >= 0)
    throw new ComputationError(`the score of group ${bad} is ${scores[bad]}; try --dtype float64 or a larger damping`);
  const gone = goneGroups(groups, kept);
  const free = allowed(groups, scores, gone);
  const out = kept.slice();
  const remove = (pool: Int32Array, count: number): void => {
    for (const g of smallest(pool, scores, count))
      for (let i = groups.starts[g] as number; i < (groups.starts[g + 1] as number); i++)
        out[groups.members[i] as number] = 0;
  };
  const already = new Array<number>(targets.byLayer.length).fill(0);
  gone.forEach((is, g) => {
    const l = groups.layer[g] as number;
    already[l] = (already[l] as number) + is;
  });
  if (scope === 'global') remove(free, targets.total - already.reduce((a, b) => a + b, 0));
  else
    targets.byLayer.forEach((target, l) => {
      const own = free.filter((g) => groups.layer[g] === l);
      remove(own, target - (already[l] as number));
    });
  return out;
}

/** Groups that are there and may go: in each cell only as many of the smallest as it still has room for. */
function allowed({ count, cells }: Candidates, scores: Float64Array, gone: Uint8Array): Int32Array {
  const there = Int32Array.from({ length: count }, (_, g) => g).filter((g) => gone[g] === 0);
  if (!cells) return there;
  const room = cells.most.slice();
  gone.forEach((is, g) => {
    const cell = cells.of[g] as number;
    room[cell] = (room[cell] as number) - is;
  });
  const byScore = [...there].sort((a, b) => (scores[a] as number) - (scores[b] as number) || a - b);
  const taken = byScore.filter((g) => {
    const cell = cells.of[g] as number;
    room[cell] = (room[cell] as number) - 1;
    return (room[cell] as number) >= 0;
  });
  return Int32Array.from(taken).sort();
}

/** the `count` members of the pool with the smallest scores; of equals the first */
function smallest(pool: Int32Array, scores: Float64Array, count: number): Int32Array {
  if (count <= 0) return new Int32Array(0);
  if (count >= pool.length) return pool;
  const sorted = Float64Array.from(pool, (g) => scores[g] as number).sort();
  const threshold = sorted[count - 1] as number;
  let ties = count - lowerBound(sorted, threshold);
  return pool.filter((g) => {
    const s = scores[g] as number;
    return s < threshold || (s === threshold && ties-- > 0);
  });
}
/** how many are below */
function lowerBound(sorted: Float64Array, value: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
