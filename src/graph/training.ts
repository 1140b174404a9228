/** What a graph in training mode has besides nodes: random numbers that it reads, and buffers that a step updates. */
import type { Graph } from './graph.js';
import type { Node } from './node.js';

export interface Noise {
  /** uniform in (0, 1), given from outside */
  readonly leaf: Node;
  /** the value that it disturbs, of the same shape; says whether samples have numbers of their own */
  readonly like: Node;
}
/** buffer ← keep·buffer + (1 − keep)·value */
export interface BufferUpdate {
  readonly buffer: string;
  readonly keep: number;
  /** of this batch */
  readonly value: Node;
  /** what the buffer holds at first */
  readonly initial: ArrayLike<number>;
  /** what every element of it is before any data: 0 for a mean, 1 for a variance */
  readonly fresh: number;
}

export class Training {
  readonly noises: Noise[] = [];
  readonly updates: BufferUpdate[] = [];
  readonly #graph: Graph;

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  /** Numbers of their own for every call; the k-th call of a model always gets the k-th ones. */
  noise(like: Node): Node {
    const leaf = this.#graph.input(`noise ${this.noises.length}`, like.shape, like.dtype);
    this.noises.push({ leaf, like });
    return leaf;
  }
}
