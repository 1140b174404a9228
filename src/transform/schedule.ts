/** In which order instructions run. */
import { InternalError } from '../base/errors.js';
import type { Node } from '../graph/index.js';

/** What computes some nodes, once what it needs has been computed. */
export interface Job {
  readonly nodes: readonly Node[];
  readonly needs: readonly Node[];
  run(): void;
}

/** Jobs in an order in which every need is met, otherwise as the nodes were made. */
export function schedule(jobs: readonly Job[]): Job[] {
  const jobOf = new Map<Node, Job>();
  for (const job of jobs) for (const n of job.nodes) jobOf.set(n, job);
  const waiting = new Map<Job, number>();
  const unlocks = new Map<Job, Job[]>();
  for (const job of jobs) {
    const needed = new Set(
      job.needs.flatMap((n) => {
        const j = jobOf.get(n);
        return j && j !== job ? [j] : [];
      }),
    );
    waiting.set(job, needed.size);
    for (const j of needed) {
      const known = unlocks.get(j);
      if (known) known.push(job);
      else unlocks.set(j, [job]);
    }
  }
  const key = (job: Job): number => job.nodes.reduce((m, n) => Math.max(m, n.id), 0);
  const ready = new MinHeap<Job>(key);
  for (const job of jobs) if (waiting.get(job) === 0) ready.push(job);
  const order: Job[] = [];
  for (let job = ready.pop(); job; job = ready.pop()) {
    order.push(job);
    for (const next of unlocks.get(job) ?? []) {
      const left = (waiting.get(next) as number) - 1;
      waiting.set(next, left);
      if (left === 0) ready.push(next);
    }
  }
  if (order.length !== jobs.length) throw new InternalError('compile: instructions wait for one another');
  return order;
}

class MinHeap<T> {
  readonly #items: { key: number; item: T }[] = [];
  readonly #key: (item: T) => number;
  constructor(key: (item: T) => number) {
    this.#key = key;
  }
  push(item: T): void {
    const heap = this.#items;
    const entry = { key: this.#key(item), item };
    let i = heap.push(entry) - 1;
    while (i > 0) {
      const up = (i - 1) >> 1;
      const parent = heap[up] as typeof entry;
      if (parent.key <= entry.key) break;
      heap[i] = parent;
      i = up;
    }
    heap[i] = entry;
  }
  pop(): T | undefined {
    const heap = this.#items;
    const top = heap[0];
    const last = heap.pop();
    if (!top || !last) return undefined;
    if (heap.length > 0) {
      let i = 0;
      for (;;) {
        const left = 2 * i + 1;
        if (left >= heap.length) break;
        const right = left + 1;
        const child =
          right < heap.length && (heap[right] as typeof last).key < (heap[left] as typeof last).key ? right : left;
        const down = heap[child] as typeof last;
        if (down.key >= last.key) break;
        heap[i] = down;
        i = child;
      }
      heap[i] = last;
    }
    return top.item;
  }
}
