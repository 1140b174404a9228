/** Vectors over parameters ↔ arrays by parameter name. */
import { toFloat64 } from '../base/convert.js';
import { InputError, ShapeError } from '../base/errors.js';
import { elementCount, type NdArray } from '../base/ndarray.js';
import { readNpz } from '../data/index.js';
import type { FloatArray } from '../device/block.js';
import type { Objective } from '../model/objective.js';

export class NamedVectors {
  readonly #objective: Objective;

  /** `taken`: names that the file needs for other arrays. */
  constructor(objective: Objective, taken: readonly string[] = []) {
    this.#objective = objective;
    const clash = objective.parameters.find((p) => taken.includes(p.name));
    if (clash)
      throw new InputError(
        `parameter '${clash.name}' would hide another array of the output; --freeze it or rename it`,
      );
  }

  /** One vector's parts, sharing its memory. */
  *named(vector: FloatArray): Generator<[string, NdArray]> {
    const { parameters, offsets } = this.#objective;
    for (const [i, { name, shape }] of parameters.entries()) {
      const from = offsets[i] as number;
      yield [name, array(shape, vector.subarray(from, from + elementCount(shape)))];
    }
  }

  /** `count` vectors, one after another: arrays of shape [count, …shape]. */
  *stacked(vectors: FloatArray, count: number): Generator<[string, NdArray]> {
    const { parameters, offsets, dimension } = this.#objective;
    for (const [i, { name, shape }] of parameters.entries()) {
      const [from, size] = [offsets[i] as number, elementCount(shape)];
      const all = vectors instanceof Float32Array ? new Float32Array(count * size) : new Float64Array(count * size);
      for (let v = 0; v < count; v += 1)
        all.set(vectors.subarray(v * dimension + from, v * dimension + from + size), v * size);
      yield [name, array([count, ...shape], all)];
    }
  }

  /** A vector from an .npz file that has exactly one array for each parameter, besides what `product` adds to them. */
  async read(path: string): Promise<Float64Array> {
    const { parameters, offsets, dimension } = this.#objective;
    const arrays = await readNpz(path);
    const names = new Set(parameters.map((p) => p.name));
    const extra = [...arrays.keys()].filter((name) => !names.has(name) && !isAddition(name));
    const missing = [...names].filter((name) => !arrays.has(name));
    if (missing.length > 0)
      throw new InputError(`${path} lacks ${list(missing)}: a vector needs one array per parameter`);
    if (extra.length > 0)
      throw new InputError(
        `${path} holds ${list(extra)}, which ${extra.length === 1 ? 'is no parameter' : 'are no parameters'} to differentiate`,
      );
    const vector = new Float64Array(dimension);
    for (const [i, { name, shape }] of parameters.entries()) {
      const given = arrays.get(name) as NdArray;
      if (given.shape.join() !== shape.join())
        throw new ShapeError(
          `${path}: '${name}' has the shape [${given.shape.join(', ')}], the parameter [${shape.join(', ')}]`,
        );
      const numbers = toFloat64(given);
      if (!numbers.every(Number.isFinite)) throw new InputError(`${path}: '${name}' holds NaN or infinity`);
      vector.set(numbers, offsets[i]);
    }
    return vector;
  }
}

/** `product` writes these beside its result, so that the result of one can be the vector of the next. */
function isAddition(name: string): boolean {
  return name === 'loss' || name.startsWith('vector/');
}

function array(shape: readonly number[], data: FloatArray): NdArray {
  return data instanceof Float32Array ? { dtype: 'float32', shape, data } : { dtype: 'float64', shape, data };
}

function list(names: readonly string[]): string {
  const shown = names
    .slice(0, 3)
    .map((name) => `'${name}'`)
    .join(', ');
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}
