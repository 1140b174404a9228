/**
 * M-FAC on gradients that exceed memory: F = λI + GᵀG/n with G (m × d) streamed in column tiles (the level-3 form of the
 * static algorithm; Frantar, Kurtic and Alistarh 2021 page rows instead, which sends them to the device many times).
 *
 * Set-up: one pass, GGᵀ = Σ over tiles of their Gram matrices, and its damped factor (m³/6). V = ΛL⁻¹G/λ: one more
 * pass, tile by tile (8dm bytes of float32 in the two). A product with F or F⁻¹: two passes; the diagonal: one.
 * Memory: two tiles and m² numbers, whatever d is. The numbers are those of StaticFisher, to rounding.
 */
import { InputError } from '../base/errors.js';
import type { Block, FloatArray } from '../device/block.js';
import type { Device } from '../device/device.js';
import { sharedDevice } from '../device/open.js';
import { Cholesky } from './cholesky.js';
import { type ColumnSource, placed } from './column-source.js';
import { checkDamping, dampingOf, factorDamped } from './damping.js';
import { columnSquares } from './diagonal.js';
import type { StoredGradients } from './gradients-store.js';
import { FisherOperator, type FisherParts, type FisherSource } from './products.js';
import { type StaticFisherOptions, whitener } from './static.js';
import { whiten } from './whiten.js';

/** Options of `StreamedFisher`. */
export interface StreamedFisherOptions extends StaticFisherOptions {
  readonly device?: Device | undefined;
}

/** Nothing of it needs to be disposed; the source stays its owner's, and must give the same numbers each pass. */
export class StreamedFisher implements FisherSource {
  readonly dimension: number;
  /** m */
  readonly count: number;
  readonly lambda: number;
  /** n */
  readonly divisor: number;
  /** as StaticFisher's */
  readonly jitter: number;
  readonly scaling: string;
  readonly fingerprint: string;
  readonly template: Pick<Block, 'dtype' | 'device'>;
  readonly #source: ColumnSource;
  readonly #factor: Cholesky;

  private constructor(source: ColumnSource, device: Device, factor: Cholesky, traits: Traits) {
    const { count, dimension, dtype } = source;
    const { lambda, divisor } = traits;
    this.dimension = dimension;
    this.count = count;
    this.lambda = lambda;
    this.divisor = divisor;
    this.jitter = traits.jitter;
    this.scaling = `${lambda}·I + sum over ${count} gradients / ${divisor}`;
    this.fingerprint = `${traits.fingerprint}|${lambda}|${divisor}`;
    this.template = { dtype, device };
    this.#source = source;
    this.#factor = factor;
  }

  /** As `StaticFisher.create`; one pass. Throws ShapeError where the tiles do not add up to m × d. */
  static async create(source: ColumnSource, options: StreamedFisherOptions = {}): Promise<StreamedFisher> {
    const { damping = 1e-5, device = sharedDevice() } = options;
    checkDamping(damping);
    const { count: m, dimension: d } = source;
    const divisor = options.divisor ?? m;
    if (!(divisor > 0 && Number.isFinite(divisor)))
      throw new InputError(`the divisor must be a positive number, not ${divisor}`);
    const gram = new Float64Array(m * m);
    for await (const { tile } of tilesOn(device, source)) {
      (await tile.gram(tile)).forEach((v, i) => {
        gram[i] = (gram[i] as number) + v;
      });
    }
    let squares = 0;
    for (let i = 0; i < m; i++) squares += gram[i * (m + 1)] as number;
    const lambda = dampingOf(damping, squares, divisor, d);
    const factor = new Cholesky(m);
    const jitter = factorDamped(factor, m, (i, j) => gram[i * m + j] as number, divisor * lambda);
    const fingerprint = options.fingerprint ?? `${m}×${d}|${squares}|${gram.reduce((a, b) => a + b, 0)}`;
    return new StreamedFisher(source, device, factor, { lambda, divisor, jitter, fingerprint });
  }

  /** As StaticFisher's: m numbers. */
  pivots(): Float64Array {
    return this.#factor.diagonal().map((l) => (l * l) / this.lambda);
  }

  /** V = ΛL⁻¹G/λ, m × d, in tiles of columns like the source's: m × width, row-major. One pass, dm² flops. */
  async *whitened(): AsyncGenerator<{ readonly from: number; readonly values: FloatArray }> {
    const matrix = whitener(this.#factor, this.lambda);
    const { device, dtype } = this.template;
    for await (const { from, tile } of tilesOn(device, this.#source)) {
      const v = device.block(dtype, tile.dimension, this.count);
      try {
        whiten(matrix, tile, v);
        yield { from, values: await v.read() };
      } finally {
        v.dispose();
      }
    }
  }

  /** diag F⁻¹, d numbers in float64. One pass. */
  async diagonal(): Promise<Float64Array> {
    const matrix = this.#factor.inverseFactor();
    const out = new Float64Array(this.dimension);
    for await (const { from, tile } of tilesOn(this.template.device, this.#source)) {
      const squares = await columnSquares(matrix, tile);
      for (let j = 0; j < squares.length; j++) out[from + j] = (1 - (squares[j] as number)) / this.lambda;
    }
    return out;
  }

  /** @internal */
  parts(): FisherParts {
    const { lambda, divisor } = this;
    return {
      gradients: streamedGradients(this.template.device, this.#source),
      lambda,
      divisor,
      solve: (x) => this.#factor.solve(x),
    };
  }

  /** F⁻¹ as an operator: two passes over the source a product, for as many vectors as it is given. */
  inverse(): FisherOperator {
    return new FisherOperator(this, 'inverse');
  }
  /** F as an operator, likewise. */
  forward(): FisherOperator {
    return new FisherOperator(this, 'forward');
  }
}

interface Traits {
  readonly lambda: number;
  readonly divisor: number;
  readonly jitter: number;
  readonly fingerprint: string;
}

/** Each tile on the device, m vectors of its width, until the next is asked for. */
async function* tilesOn(device: Device, source: ColumnSource): AsyncGenerator<{ from: number; tile: Block }> {
  for await (const { from, width, values } of placed(source)) {
    const tile = device.block(source.dtype, width, source.count);
    try {
      tile.write(values);
      yield { from, tile };
      await device.finish(); // what is queued holds the tile's memory
    } finally {
      tile.dispose();
    }
  }
}

function streamedGradients(device: Device, source: ColumnSource): StoredGradients {
  const { count } = source;
  return {
    count,
    async gram(x) {
      const out = new Float64Array(x.count * count);
      for await (const { from, tile } of tilesOn(device, source)) {
        const part = x.elements(from, from + tile.dimension);
        try {
          (await part.gram(tile)).forEach((v, i) => {
            out[i] = (out[i] as number) + v;
          });
        } finally {
          part.dispose();
        }
      }
      return out;
    },
    async combine(c, output, beta) {
      for await (const { from, tile } of tilesOn(device, source)) {
        const part = output.elements(from, from + tile.dimension);
        part.combine(c, tile, beta);
        part.dispose();
      }
    },
    dispose: () => undefined,
  };
}
