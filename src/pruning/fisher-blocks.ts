/**
 * Diagonal blocks of the Fisher matrix, explicit (WoodFisher; Singh and Alistarh 2020):
 *
 *   F_BB = λI + (1/n) Σ g_B g_Bᵀ   for each run B of b weights
 *
 * accumulated over any number of gradients: products of 512 at a time in the gradients' type, their sum in float64.
 * With b = 1 it is the diagonal (OBD; LeCun et al. 1989). Memory 8db bytes and a chunk of gradients; 2dmb flops to make,
 * db²/6 multiply-adds to score or update, block by block on the host.
 */

import { cached } from '../base/cached.js';
import { checkInterrupted } from '../base/errors.js';
import type { Block } from '../device/block.js';
import { type Attachment, LoadedProgram } from '../device/program.js';
import { Graph, ops } from '../graph/index.js';
import { checkDamping, type Damping, dampingOf } from '../mfac/damping.js';
import { bytesPerElement } from '../program/format.js';
import { compile } from '../transform/compile.js';
import { type GradientSource, nothingToScore } from './gradients.js';
import { dimensionOf, layerOfEach } from './layers.js';
import type { Groups, PruningPoint, Scorer, Update } from './method.js';
import { factorOf, jointUpdate, part, removalCost } from './quadratic.js';

/** Gradients at a time, and elements of their vectors: 1 GiB. */
const [mostRows, mostElements] = [512, 2 ** 28];
/** Elements of blocks whose products are computed at once: 32 MiB. */
const tileElements = 2 ** 22;

/** Neighbouring blocks of one size. */
interface Tile {
  readonly from: number;
  readonly blocks: number;
  readonly size: number;
  /** blocks × size vectors of `size` */
  readonly sums: Block;
}

export class FisherBlocks implements Scorer {
  readonly lambda: number;
  readonly #point: PruningPoint;
  readonly #tiles: readonly Tile[];
  readonly #divisor: number;

  private constructor(point: PruningPoint, tiles: readonly Tile[], divisor: number, lambda: number) {
    this.#point = point;
    this.#tiles = tiles;
    this.#divisor = divisor;
    this.lambda = lambda;
  }

  /** Throws InputError for a damping that is not positive and for gradients that are all zero. */
  static async create(
    point: PruningPoint,
    gradients: GradientSource,
    blockSize: number,
    damping: Damping,
  ): Promise<FisherBlocks> {
    checkDamping(damping);
    const { device } = gradients;
    const d = dimensionOf(point.layers);
    const tiles = tilesOf(d, Math.min(blockSize, d)).map((t): Tile => {
      const sums = device.block('float64', t.size, t.blocks * t.size);
      sums.zero();
      return { ...t, sums };
    });
    try {
      const step = Math.max(1, Math.min(mostRows, Math.floor(mostElements / d)));
      for (let from = 0; from < gradients.count; from += step) {
        checkInterrupted(point.signal);
        const rows = await gradients.rows(from, Math.min(gradients.count, from + step));
        await accumulate(rows, tiles);
      }
      let squares = 0;
      for (const tile of tiles)
        for (const { from, matrix } of await blocksOf(tile, 1))
          for (let j = 0; j < tile.size; j++)
            if (point.kept[from + j]) squares += matrix[j * (tile.size + 1)] as number;
      if (squares === 0) throw nothingToScore();
      const left = point.kept.reduce((n, k) => n + k, 0);
      return new FisherBlocks(point, tiles, gradients.divisor, dampingOf(damping, squares, gradients.divisor, left));
    } catch (error) {
      for (const { sums } of tiles) sums.dispose();
      throw error;
    }
  }

  async score({ count, starts, members }: Groups): Promise<Float64Array> {
    const { weights, kept } = this.#point;
    const groupOf = new Int32Array(weights.length).fill(-1);
    for (let g = 0; g < count; g++)
      for (let i = starts[g] as number; i < (starts[g + 1] as number); i++) groupOf[members[i] as number] = g;
    const scores = new Float64Array(count);
    await this.#each((from, size, matrix) => {
      const left = indices(size).filter((j) => kept[from + j]);
      if (left.length === 0) return;
      const inverse = factorOf(part(matrix, size, left), left.length, this.lambda).inverseFactor();
      const together = new Map<number, number[]>();
      left.forEach((j, at) => {
        const g = groupOf[from + j] as number;
        if (g >= 0 && weights[from + j] !== 0) cached(together, g, () => []).push(at);
      });
      for (const [g, own] of together) {
        const w = Float64Array.from(own, (at) => weights[from + (left[at] as number)] as number);
        // where a group reaches over several blocks its parts do not know of each other
        scores[g] = (scores[g] as number) + removalCost(inversePart(inverse, left.length, own), w);
      }
    });
    return scores;
  }

  async update(after: Uint8Array): Promise<Update> {
    const { weights, kept, layers } = this.#point;
    const out = weights.slice();
    const layer = layerOfEach(layers);
    const increase = new Float64Array(layers.length);
    await this.#each((from, size, matrix) => {
      const to = from + size;
      const delta = jointUpdate(
        matrix,
        this.lambda,
        weights.subarray(from, to),
        kept.subarray(from, to),
        after.subarray(from, to),
      );
      const moved = indices(size).filter((j) => delta[j] !== 0);
      for (const j of moved) {
        let product = this.lambda * (delta[j] as number);
        for (const i of moved) product += (matrix[j * size + i] as number) * (delta[i] as number);
        const l = layer[from + j] as number;
        increase[l] = (increase[l] as number) + ((delta[j] as number) * product) / 2;
        out[from + j] = (out[from + j] as number) + (delta[j] as number);
      }
    });
    return { weights: out.map((w, j) => (after[j] ? w : 0)), increase };
  }

  /** Every block with its matrix, λ not included. */
  async #each(work: (from: number, size: number, matrix: Float64Array) => void): Promise<void> {
    for (const tile of this.#tiles) {
      checkInterrupted(this.#point.signal);
      for (const { from, matrix } of await blocksOf(tile, this.#divisor)) work(from, tile.size, matrix);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { sums } of this.#tiles) sums.dispose();
  }
}

const indices = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

function tilesOf(d: number, b: number): Omit<Tile, 'sums'>[] {
  const tiles: Omit<Tile, 'sums'>[] = [];
  const atOnce = Math.max(1, Math.floor(tileElements / (b * b)));
  const whole = Math.floor(d / b);
  for (let k = 0; k < whole; k += atOnce) tiles.push({ from: k * b, blocks: Math.min(atOnce, whole - k), size: b });
  if (d % b > 0) tiles.push({ from: whole * b, blocks: 1, size: d % b });
  return tiles;
}

async function blocksOf(
  { from, blocks, size, sums }: Tile,
  divisor: number,
): Promise<{ from: number; matrix: Float64Array }[]> {
  const values = await sums.readFloat64();
  for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) / divisor;
  return Array.from({ length: blocks }, (_, k) => ({
    from: from + k * size,
    matrix: values.subarray(k * size * size, (k + 1) * size * size),
  }));
}

/** Adds the products of these gradients, and disposes them. */
async function accumulate(rows: Block, tiles: readonly Tile[]): Promise<void> {
  const { device, dtype } = rows;
  const programs = new Map<string, LoadedProgram>();
  const scratches: Block[] = [];
  try {
    for (const { from, blocks, size, sums } of tiles) {
      const program = cached(programs, `${blocks} of ${size}`, () => productProgram(rows, blocks, size));
      const scratch = device.block('float64', Math.max(8, Math.ceil(program.source.scratchBytes / 8)), 1);
      scratches.push(scratch);
      program.run(
        new Map<string, Attachment>([
          ['gradients', { buffer: rows.buffer, byteOffset: rows.byteOffset + from * bytesPerElement[dtype] }],
          ['sums', sums],
          ['scratch', scratch],
        ]),
        undefined,
      );
    }
    await device.finish();
  } finally {
    for (const p of programs.values()) p.dispose();
    for (const s of [rows, ...scratches]) s.dispose();
  }
}

function productProgram({ device, dtype, count, stride }: Block, blocks: number, size: number): LoadedProgram {
  const graph = new Graph();
  const g = graph.input('gradients', [count, blocks, size], dtype);
  const product = size === 1 ? ops.reduceSum(ops.mul(g, g), [0]) : ops.dot(g, g, 'rki', 'rkj', 'kij');
  return new LoadedProgram(
    device,
    compile({
      inputs: new Map([[g, { binding: 'gradients', strides: [stride, size, 1] }]]),
      outputs: [{ node: ops.cast(product, 'float64'), binding: 'sums', accumulate: true }],
    }),
  );
}

/** [F⁻¹]_QQ = Σᵢ (L⁻¹)ᵢ_Q (L⁻¹)ᵢ_Qᵀ: sums of squares on the diagonal, so relatively accurate. */
function inversePart(inverseFactor: Float64Array, n: number, own: readonly number[]): Float64Array {
  const k = own.length;
  const out = new Float64Array(k * k);
  for (let a = 0; a < k; a++) {
    for (let b = 0; b <= a; b++) {
      const [p, q] = [own[a] as number, own[b] as number];
      let sum = 0;
      for (let i = Math.max(p, q); i < n; i++)
        sum += (inverseFactor[i * n + p] as number) * (inverseFactor[i * n + q] as number);
      out[a * k + b] = out[b * k + a] = sum;
    }
  }
  return out;
}
