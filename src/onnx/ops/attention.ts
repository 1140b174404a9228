/** Attention as one operator, and the rotation of its queries and keys. */
import { InputError } from '../../base/errors.js';
import * as f from '../../graph/functions.js';
import { type Node, ops } from '../../graph/index.js';
import type { Op, OpTable } from '../op.js';
import { part } from './slicing.js';

/** [batch, time, heads·d] → [batch, heads, time, d]; rank 4 has that layout already */
function withHeads(x: Node, heads: number): Node {
  if (x.shape.length === 4) return x;
  const [batch = 0, time = 0, width = 0] = x.shape;
  if (x.shape.length !== 3 || heads < 1 || width % heads !== 0)
    throw new InputError(`[${x.shape}] does not divide into ${heads} heads`);
  return ops.transpose(ops.reshape(x, [batch, time, heads, width / heads]), [0, 2, 1, 3]);
}
/** each head of keys or values serves a group of query heads */
function repeated(x: Node, heads: number): Node {
  const [batch = 0, own = 0, time = 0, d = 0] = x.shape;
  if (own === heads) return x;
  if (heads % own !== 0) throw new InputError(`${heads} query heads do not divide among ${own} key heads`);
  const wide = ops.broadcast(x, [batch, own, heads / own, time, d], [0, 1, 3, 4]);
  return ops.reshape(wide, [batch, heads, time, d]);
}

/** Where a query may look, by position: keys up to its own place plus `offset`, and no further than the window. */
function reachable(op: Op, queries: number, keys: number, offset: Node | number): Node | undefined {
  const causal = op.int('is_causal', 0) !== 0;
  const left = op.int('left_window_size', -1),
    right = op.int('right_window_size', -1);
  if (!causal && left < 0 && right < 0) return undefined;
  const plane = [queries, keys];
  // how many places the key lies before the query
  const behind = ops.add(ops.sub(op.graph.iota(0, plane), op.graph.iota(1, plane)), offset);
  const rules = [
    ...(causal ? [ops.ge(behind, 0)] : []),
    ...(left >= 0 ? [ops.le(behind, left)] : []),
    ...(right >= 0 ? [ops.ge(behind, -right)] : []),
  ];
  return rules.reduce((a, b) => ops.and(a, b));
}

/** what is added to the scores: 0 or the mask where a query may look, −∞ elsewhere */
function bias(op: Op, scores: Node, past: number): Node | undefined {
  const [, , queries = 0, keys = 0] = scores.shape;
  const zero = op.graph.fill(0, [], scores.dtype);
  const masked = (allowed: Node): Node => ops.select(allowed, zero, -Infinity);
  const terms: Node[] = [];
  const mask = op.maybe(3);
  if (mask) {
    const added = mask.dtype === 'bool' ? masked(mask) : mask;
    const missing = keys - (added.shape.at(-1) ?? 0);
    const tail = op.graph.fill(-Infinity, [...added.shape.slice(0, -1), Math.max(0, missing)], scores.dtype);
    terms.push(missing > 0 ? ops.concat([added, tail], added.shape.length - 1) : added);
  }
  const lengths = op.maybe(6);
  const perSample = lengths
    ? ops.reshape(ops.cast(lengths, 'int32'), [lengths.shape[0] as number, 1, 1, 1])
    : undefined;
  const allowed = reachable(op, queries, keys, perSample ? ops.sub(perSample, queries) : past);
  if (allowed) terms.push(masked(allowed));
  if (perSample) terms.push(masked(ops.lt(op.graph.iota(3, [1, 1, 1, keys]), perSample)));
  return terms.length === 0 ? undefined : terms.reduce((a, b) => ops.add(a, b));
}

function attention(op: Op): (Node | undefined)[] {
  const q = withHeads(op.floating(0), op.int('q_num_heads', 0));
  const own = [1, 2].map((i) => withHeads(op.floating(i), op.int('kv_num_heads', 0)));
  const past = op.maybe(4);
  const [k, v] = own.map((x, i) => (op.hasInput(4 + i) ? ops.concat([op.x(4 + i), x], 2) : x)) as [Node, Node];
  const heads = q.shape[1] as number,
    width = q.shape[3] as number;
  const scale = op.hasAttribute('scale') ? op.float('scale', 1) : 1 / Math.sqrt(width);
  const products = ops.dot(q, repeated(k, heads), 'bhqd', 'bhkd', 'bhqk');
  const raw = ops.mul(products, scale);
  const cap = op.float('softcap', 0);
  const scores = cap > 0 ? ops.mul(ops.tanh(ops.mul(raw, 1 / cap)), cap) : raw;
  const added = bias(op, scores, past ? (past.shape[2] as number) : 0);
  const shifted = added ? ops.add(scores, added) : scores;
  const weights = added && mayBlock(op) ? unblocked(scores, added) : f.softmax(shifted, [3]);
  const y = ops.dot(weights, repeated(v, heads), 'bhqk', 'bhkd', 'bhqd');
  const [batch = 0, , time = 0, d = 0] = y.shape;
  const flat = op.shape(0).length === 3 ? ops.reshape(ops.transpose(y, [0, 2, 1, 3]), [batch, time, heads * d]) : y;
  const mode = op.int('qk_matmul_output_mode', 0);
  return [flat, k, v, [cap > 0 && mode === 0 ? scores : raw, scores, shifted, weights][mode]];
}
/** a causal mask alone leaves every query at least one key */
const mayBlock = (op: Op): boolean =>
  op.hasInput(3) || op.hasInput(6) || op.hasAttribute('left_window_size') || op.hasAttribute('right_window_size');
/** A query that may look nowhere gets weights 0 instead of NaN. */
function unblocked(scores: Node, added: Node): Node {
  const blocked = ops.eq(ops.stopGradient(ops.reduceMax(added, [-1], true)), -Infinity);
  const open = ops.select(blocked, 0, added);
  return ops.select(blocked, 0, f.softmax(ops.add(scores, open), [3]));
}

/** pairs of features turned by the angles of their positions */
function rotaryEmbedding(op: Op): Node {
  const given = op.floating(0);
  const x = withHeads(given, op.int('num_heads', 0));
  const d = op.int('rotary_embedding_dim', 0) || (x.shape[3] as number),
    half = d / 2;
  const cache = (i: number): Node => {
    const table = op.hasInput(3) ? ops.take(op.x(i), ops.cast(op.x(3), 'int32'), 0) : op.x(i);
    // [batch, time, half] beside [batch, heads, time, half]
    return ops.expandDims(table, 1);
  };
  const cos = cache(1),
    sin = cache(2);
  const turned = part(x, 3, 0, d),
    rest = part(x, 3, d, (x.shape[3] as number) - d);
  const interleaved = op.int('interleaved', 0) !== 0;
  const [batch = 0, heads = 0, time = 0] = x.shape;
  const pairs = ops.reshape(turned, [batch, heads, time, ...(interleaved ? [half, 2] : [2, half])]);
  const pick = (i: number): Node => ops.reshape(part(pairs, interleaved ? 4 : 3, i, 1), [batch, heads, time, half]);
  const a = pick(0),
    b = pick(1);
  const both = [ops.sub(ops.mul(cos, a), ops.mul(sin, b)), ops.add(ops.mul(sin, a), ops.mul(cos, b))];
  const axis = interleaved ? 4 : 3;
  const joined = ops.reshape(
    ops.concat(
      both.map((p) => ops.expandDims(p, axis)),
      axis,
    ),
    turned.shape,
  );
  const y = ops.concat([joined, rest], 3);
  return given.shape.length === 3 ? ops.reshape(ops.transpose(y, [0, 2, 1, 3]), given.shape) : y;
}

export const attentionOps: OpTable = {
  Attention: { build: attention },
  RotaryEmbedding: { build: rotaryEmbedding },
};
