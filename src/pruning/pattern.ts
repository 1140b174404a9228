/**
 * Which weights may go together:
 *
 *   unstructured   each on its own
 *   N:M            each on its own, but of every M neighbours along a row at most N stay (2:4)
 *   RxC            blocks of R rows by C columns (4x1: one input of four outputs)
 *   filter         a whole row: all that makes one output channel, whose value is then its bias
 */
import { InputError } from '../base/errors.js';
import type { PrunedLayer } from './layers.js';
import type { Groups } from './method.js';

export type Pattern =
  | { readonly kind: 'unstructured' }
  | { readonly kind: 'n:m'; readonly keep: number; readonly of: number }
  | { readonly kind: 'block'; readonly rows: number; readonly columns: number }
  | { readonly kind: 'filter' };

/** Throws InputError for what is none of the patterns. */
export function parsePattern(text: string): Pattern {
  if (text === 'unstructured' || text === 'filter') return { kind: text };
  const [, a, separator, b] = /^(\d+)([:x])(\d+)$/.exec(text) ?? [];
  const [first, second] = [Number(a), Number(b)];
  if (separator === ':' && first >= 1 && first < second) return { kind: 'n:m', keep: first, of: second };
  if (separator === 'x' && first >= 1 && second >= 1) return { kind: 'block', rows: first, columns: second };
  throw new InputError(`a pattern is unstructured, N:M with N < M (2:4), RxC (4x1) or filter, not '${text}'`);
}

export const patternText = (p: Pattern): string =>
  p.kind === 'n:m' ? `${p.keep}:${p.of}` : p.kind === 'block' ? `${p.rows}x${p.columns}` : p.kind;

/** Groups with the layer of each. */
export interface Candidates extends Groups {
  /** the layer of each group */
  readonly layer: Int32Array;
}

/** All groups, layer after layer. Throws InputError that names the layers whose shapes a pattern does not divide. */
export function candidates(layers: readonly PrunedLayer[], pattern: Pattern): Candidates {
  refuseUndivided(layers, pattern);
  const size = layers.map((l) => groupSize(l, pattern));
  const count = layers.reduce((n, l, i) => n + l.count / (size[i] as number), 0);
  const starts = new Int32Array(count + 1);
  const layer = new Int32Array(count);
  const members = new Int32Array(layers.reduce((n, l) => n + l.count, 0));
  let group = 0;
  layers.forEach((own, l) => {
    members.set(membersOf(own, pattern), own.offset);
    for (let i = 0; i < own.count; i += size[l] as number) {
      layer[group] = l;
      starts[++group] = own.offset + i + (size[l] as number);
    }
  });
  return { count, starts, members, layer, cells: cellsOf(layers, pattern, layer) };
}

/** rows by columns that lie together */
function extents(layer: PrunedLayer, pattern: Pattern): [rows: number, columns: number] {
  if (pattern.kind === 'block') return [pattern.rows, pattern.columns];
  if (pattern.kind === 'n:m') return [1, pattern.of];
  return [1, pattern.kind === 'filter' ? layer.matrix().columns : 1];
}
function groupSize(layer: PrunedLayer, pattern: Pattern): number {
  const [rows, columns] = extents(layer, pattern);
  return pattern.kind === 'n:m' ? 1 : rows * columns;
}

function refuseUndivided(layers: readonly PrunedLayer[], pattern: Pattern): void {
  if (pattern.kind === 'unstructured' || pattern.kind === 'filter') return;
  const wrong = layers.flatMap((layer) => {
    const { rows, run } = layer.matrix();
    const [high, wide] = extents(layer, pattern);
    return rows % high !== 0 || run % wide !== 0 ? [`'${layer.name}' (${rows} outputs, ${run} input channels)`] : [];
  });
  if (wrong.length > 0)
    throw new InputError(
      `the pattern ${patternText(pattern)} does not divide ${wrong.join(', ')}; leave ${wrong.length === 1 ? 'it' : 'them'} out with --freeze`,
    );
}

/** the weights of a layer in the order of the groups; those of a cell of N:M are neighbours */
function membersOf(layer: PrunedLayer, pattern: Pattern): Int32Array {
  const { offset, count } = layer;
  if (pattern.kind === 'unstructured') return Int32Array.from({ length: count }, (_, i) => offset + i);
  const { rows, columns, indices } = layer.matrix();
  const [high, wide] = extents(layer, pattern);
  const members = new Int32Array(count);
  let at = 0;
  for (let r = 0; r < rows; r += high)
    for (let c = 0; c < columns; c += wide)
      for (let i = 0; i < high; i++)
        for (let j = 0; j < wide; j++) members[at++] = offset + (indices[(r + i) * columns + c + j] as number);
  return members;
}

function cellsOf(layers: readonly PrunedLayer[], pattern: Pattern, layer: Int32Array): Candidates['cells'] {
  if (pattern.kind === 'n:m')
    return {
      of: layer.map((_, g) => Math.floor(g / pattern.of)),
      most: new Int32Array(layer.length / pattern.of).fill(pattern.of - pattern.keep),
    };
  // a layer without any output would cut the network
  if (pattern.kind === 'filter') return { of: layer, most: Int32Array.from(layers, (l) => l.matrix().rows - 1) };
  return null;
}
