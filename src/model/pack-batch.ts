/** A batch as the bytes its programs read: inputs, targets, weights and drawn numbers, each at its place. */
import { toFloat32, toFloat64, toInt32 } from '../base/convert.js';
import { InternalError } from '../base/errors.js';
import type { Batch } from '../data/dataset.js';
import type { Node } from '../graph/index.js';
import { sizeOf } from '../graph/index.js';
import { bytesPerElement } from '../program/format.js';
import type { BatchGraph } from './batch-graph.js';

export interface BatchParts {
  readonly batch: Batch;
  /** samples in it; where the graph takes more, the rest are copies of the last one and weigh nothing */
  readonly count: number;
  /** the sample in a row, for messages */
  readonly sampleOf: (row: number) => number;
  /** what each sample's own mean is divided by (`Objective.counts`) */
  readonly counts: ArrayLike<number>;
  /** of each loss term */
  readonly weight: number;
  /** of the regularisation, and of a loss without targets */
  readonly share: number;
  readonly random: Float64Array | null;
}

/** @param into memory to use again, of the graph's `dataBytes`; all that programs read of it is overwritten */
export function packBatch(graph: BatchGraph, parts: BatchParts, into = new ArrayBuffer(graph.dataBytes)): Uint8Array {
  const { objective } = graph;
  const { batch, count, counts, sampleOf, weight, share, random } = parts;
  const put = (leaf: Node, values: ArrayLike<number>): void => fillUp(storage(graph, leaf, into), leaf, values);
  for (const [name, leaf] of graph.inputs) {
    const array = batch.inputs.get(objective.dataName(name));
    if (!array) throw new InternalError(`the data gave no '${name}'`);
    const values =
      leaf.dtype === 'float32'
        ? toFloat32(array)
        : leaf.dtype === 'float64'
          ? toFloat64(array)
          : toInt32(array, (i) => `input '${name}', element ${i}`);
    put(leaf, values);
  }
  if (graph.target && batch.target) put(graph.target, objective.targets(batch.target, sampleOf));
  if (graph.target) {
    storage(graph, graph.weight, into).fill(0).fill(weight, 0, count);
    const own = storage(graph, graph.own, into).fill(0);
    for (let i = 0; i < count; i++) own[i] = (counts[i] as number) > 0 ? 1 / (counts[i] as number) : 0;
  } else {
    put(graph.weight, [share]);
    put(graph.own, [1]);
  }
  if (graph.share) put(graph.share, [share]);
  if (graph.random && random) put(graph.random, random);
  return new Uint8Array(into);
}

type Storage = Float32Array | Float64Array | Int32Array | Uint8Array;
const storages = { float32: Float32Array, float64: Float64Array, int32: Int32Array, bool: Uint8Array };

function storage(graph: BatchGraph, leaf: Node, into: ArrayBuffer): Storage {
  const at = (graph.places.get(leaf)?.offset ?? 0) * bytesPerElement[leaf.dtype];
  return new storages[leaf.dtype](into, at, sizeOf(leaf.shape));
}
/** A short last batch is filled up with copies of its last sample, which are as harmless as that one. */
function fillUp(out: Storage, leaf: Node, values: ArrayLike<number>): void {
  out.set(values);
  const perSample = out.length / (leaf.shape[0] ?? 1);
  for (let at = values.length; at < out.length; at += perSample)
    out.copyWithin(at, values.length - perSample, values.length);
}
