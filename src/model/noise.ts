/**
 * The random numbers of training mode (dropout), on the device. Those of a sample depend on nothing but the seed, the
 * place in the model, the step and the sample, so batches may fall anyhow and running twice agrees.
 *
 * Philox (base/philox.ts): the k-th node that asks draws, at step s, from streams 2⁴² + sample under a seed of its own,
 * words 2k and 2k + 1 of stream 2⁴³ + s under the user's seed (53 bits of them).
 */
import { UnsupportedError } from '../base/errors.js';
import { RandomStream } from '../base/philox.js';
import type { Device } from '../device/device.js';
import type { NativeBuffer } from '../device/native.js';
import type { FloatDType, Graph, Node } from '../graph/index.js';
import { describe, sizeOf } from '../graph/index.js';
import { reachable } from '../transform/reach.js';
import type { BatchGraph } from './batch-graph.js';

const sampleStream = 2 ** 42;
const stepStream = 2 ** 43;

/** A leaf of random numbers; one that nothing of the data comes into has the same for every batch. */
export interface NoiseLeaf {
  readonly leaf: Node;
  /** whether samples, which lie one after another along axis 0, have numbers of their own */
  readonly perSample: boolean;
}

/** The noise of a model written for `samples`. Throws UnsupportedError where samples cannot be told apart. */
export function noiseOf(graph: Graph, samples: number, data: Iterable<Node>, source: string): NoiseLeaf[] {
  const given = new Set(data);
  return (graph.training?.noises ?? []).map(({ leaf, like }) => {
    if (!reachable([like]).some((n) => given.has(n))) return { leaf, perSample: false };
    if ((like.shape[0] ?? 0) % samples !== 0 || like.shape.length === 0)
      throw new UnsupportedError(
        `${source}: dropout of ${describe(like)}, which does not count the ${samples} samples of a batch along axis 0`,
      );
    return { leaf, perSample: true };
  });
}

export interface NoiseRequest {
  readonly seed: number;
  readonly step: number;
  /** [first, count] of the samples in the rows, one after another; rows that are left get numbers that do not matter */
  readonly samples: readonly (readonly [number, number])[];
}

/** Writes the numbers of every noise leaf to its place in a batch's data. */
export function fillNoise(device: Device, graph: BatchGraph, data: NativeBuffer, request: NoiseRequest): void {
  if (graph.noise.length === 0) return;
  const { seed, step, samples } = request;
  const words = new RandomStream(seed, stepStream + step);
  const there = samples.reduce((n, [, count]) => n + count, 0);
  const runs = there < graph.samples ? [...samples, [0, graph.samples - there] as const] : samples;
  graph.noise.forEach(({ leaf, perSample }, k) => {
    const own = words.word(2 * k) * 2 ** 21 + (words.word(2 * k + 1) >>> 11);
    const each = sizeOf(leaf.shape) / (perSample ? graph.samples : 1);
    let offset = graph.places.get(leaf)?.offset ?? 0;
    for (const [first, count] of perSample ? runs : [[0, 1] as const]) {
      const target = { buffer: data, offset, rows: count, stride: each };
      device.guard(() =>
        device.native.random(leaf.dtype as FloatDType, each, target, 'uniform', own, sampleStream + first),
      );
      offset += count * each;
    }
  });
}
