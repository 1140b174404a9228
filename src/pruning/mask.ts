/**
 * Vectors on a device with some elements held at +0: gradients of what is left, and training that never touches what is
 * gone. An optimizer that sees only zeros there moves nothing there; parameters are set back after each step all the same,
 * so that no optimizer needs to be trusted.
 */
import { ShapeError } from '../base/errors.js';
import type { Block } from '../device/block.js';
import type { Device } from '../device/device.js';
import { type Attachment, LoadedProgram } from '../device/program.js';
import { Graph, ops } from '../graph/index.js';
import { bytesPerElement, type FloatDType } from '../program/format.js';
import type { AlgorithmFactory } from '../training/algorithm.js';
import { compile } from '../transform/compile.js';

/** Keeps elements where `kept` is not 0. */
export class Mask {
  readonly #mask: Block;
  readonly #result: Block;
  readonly #scratch: Block;
  readonly #program: LoadedProgram;

  constructor(device: Device, dtype: FloatDType, kept: ArrayLike<number>) {
    const d = kept.length;
    const graph = new Graph();
    const [x, mask] = [graph.input('x', [d], dtype), graph.input('mask', [d], dtype)];
    // a product would keep NaN, and leave −0
    const node = ops.select(ops.gt(mask, graph.fill(0, [d], dtype)), x, 0);
    const inputs = new Map([x, mask].map((n, i) => [n, { binding: i === 0 ? 'x' : 'mask' }]));
    this.#program = new LoadedProgram(device, compile({ inputs, outputs: [{ node, binding: 'result' }] }));
    this.#mask = device.block(dtype, d, 1);
    this.#mask.write(kept);
    this.#result = device.block(dtype, d, 1);
    this.#scratch = device.block('float64', Math.max(8, Math.ceil(this.#program.source.scratchBytes / 8)), 1);
  }

  /** In place, every vector. */
  apply(block: Block): void {
    if (block.dimension !== this.#mask.dimension)
      throw new ShapeError(`a mask of ${this.#mask.dimension} for vectors of ${block.dimension}`);
    for (let r = 0; r < block.count; r++) {
      const row = block.rows(r, r + 1);
      this.#program.run(
        new Map<string, Attachment>([
          ['x', { buffer: row.buffer, byteOffset: row.offset * bytesPerElement[row.dtype] }],
          ['mask', this.#mask],
          ['result', this.#result],
          ['scratch', this.#scratch],
        ]),
        undefined,
      );
      row.copyFrom(this.#result);
      row.dispose();
    }
  }

  dispose(): void {
    this.#program.dispose();
    for (const b of [this.#mask, this.#result, this.#scratch]) b.dispose();
  }
}

/** An algorithm that trains under a mask over its parameters: what is not kept is +0 after every step, to the bit. */
export function masked(factory: AlgorithmFactory, kept: ArrayLike<number>): AlgorithmFactory {
  return async (parameters, saved) => {
    const mask = new Mask(parameters.device, parameters.dtype, kept);
    mask.apply(parameters);
    const inner = await factory(parameters, saved);
    return {
      async update(gradient) {
        mask.apply(gradient);
        await inner.update(gradient);
        mask.apply(parameters);
      },
      save: () => inner.save(),
      dispose() {
        inner.dispose();
        mask.dispose();
      },
    };
  };
}
