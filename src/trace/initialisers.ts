/**
 * Values that parameters start from. All random numbers are Philox's, keyed by the model's seed and the parameter's
 * position, so that they are the same on every machine.
 *
 *   Kaiming  variance gain²/fan (He et al. 2015); Xavier  gain²·2/(fan_in + fan_out) (Glorot and Bengio 2010)
 *   orthogonal  Q of a normal matrix (Saxe et al. 2014)
 *
 * A weight [out, in, …window] has fan_in = in · window and fan_out = out · window, as PyTorch counts them.
 */
import { Matrix, QrDecomposition } from 'ml-matrix';
import { InputError } from '../base/errors.js';
import { RandomStream } from '../base/philox.js';
import { type Shape, sizeOf } from '../graph/index.js';

/** Values of a parameter of this shape, row-major. */
export type Initialiser = (shape: Shape, random: RandomStream) => Float64Array;

function fans(shape: Shape): { in: number; out: number } {
  const [out, inside] = shape;
  if (out === undefined || inside === undefined)
    throw new InputError(`an initialiser by fan needs a weight of rank 2 or more, not [${shape}]`);
  const window = sizeOf(shape.slice(2));
  return { in: inside * window, out: out * window };
}
const filled = (shape: Shape, value: (i: number) => number): Float64Array =>
  Float64Array.from({ length: sizeOf(shape) }, (_, i) => value(i));

/** one number everywhere */
export const constant =
  (value: number): Initialiser =>
  (shape) =>
    filled(shape, () => value);
/** 0 everywhere */
export const zeros: Initialiser = constant(0);
/** 1 everywhere */
export const ones: Initialiser = constant(1);
/** uniform in (low, high) */
export const uniform =
  (low = 0, high = 1): Initialiser =>
  (shape, random) =>
    filled(shape, (i) => low + (high - low) * random.uniform(i));
/** normal numbers of this deviation and mean */
export const normal =
  (std = 1, mean = 0): Initialiser =>
  (shape, random) =>
    filled(shape, (i) => mean + std * random.normal(i));

/** Options of `kaimingUniform` and `kaimingNormal`. */
export interface KaimingOptions {
  /** which fan the variance is divided by; default 'in' */
  readonly fan?: 'in' | 'out';
  /** √2 for ReLU (default); 1 for linear layers; √(2/(1+a²)) for leaky ReLU of slope a */
  readonly gain?: number;
}
/** U(±gain·√(3/fan)), fan the inputs (or outputs) of one output (He et al. 2015) */
export const kaimingUniform =
  ({ fan = 'in', gain = Math.SQRT2 }: KaimingOptions = {}): Initialiser =>
  (shape, random) => {
    const bound = gain * Math.sqrt(3 / fans(shape)[fan]);
    return uniform(-bound, bound)(shape, random);
  };
/** normal of deviation gain/√fan (He et al. 2015) */
export const kaimingNormal =
  ({ fan = 'in', gain = Math.SQRT2 }: KaimingOptions = {}): Initialiser =>
  (shape, random) =>
    normal(gain / Math.sqrt(fans(shape)[fan]))(shape, random);
/** U(±gain·√(6/(fan_in + fan_out))) (Glorot and Bengio 2010) */
export const xavierUniform =
  (gain = 1): Initialiser =>
  (shape, random) => {
    const { in: inside, out } = fans(shape);
    const bound = gain * Math.sqrt(6 / (inside + out));
    return uniform(-bound, bound)(shape, random);
  };
/** normal of deviation gain·√(2/(fan_in + fan_out)) (Glorot and Bengio 2010) */
export const xavierNormal =
  (gain = 1): Initialiser =>
  (shape, random) => {
    const { in: inside, out } = fans(shape);
    return normal(gain * Math.sqrt(2 / (inside + out)))(shape, random);
  };

/** Rows (or columns, whichever are fewer) of the weight as a matrix [shape[0], rest] are orthogonal, of norm gain. */
export const orthogonal =
  (gain = 1): Initialiser =>
  (shape, random) => {
    const rows = shape[0] ?? 1;
    const columns = sizeOf(shape.slice(1));
    if (shape.length < 2)
      throw new InputError(`an orthogonal initialiser needs a weight of rank 2 or more, not [${shape}]`);
    const [tall, wide] = [Math.max(rows, columns), Math.min(rows, columns)];
    const qr = new QrDecomposition(Matrix.from1DArray(tall, wide, Array.from(normal()([tall, wide], random))));
    const { orthogonalMatrix: q, upperTriangularMatrix: r } = qr;
    // the sign that makes R's diagonal positive makes Q uniform over orthogonal matrices (Mezzadri 2007)
    const entry = (i: number, j: number): number => gain * q.get(i, j) * (r.get(j, j) < 0 ? -1 : 1);
    return filled(shape, (at) => {
      const i = Math.floor(at / columns);
      const j = at % columns;
      return rows >= columns ? entry(i, j) : entry(j, i);
    });
  };

/** Options of `truncatedNormal`. */
export interface TruncatedNormalOptions {
  readonly mean?: number;
  /** default 1 */
  readonly std?: number;
  /** the interval that values lie in; default [−2, 2], absolute as in PyTorch */
  readonly low?: number;
  readonly high?: number;
}
/** Normal numbers conditioned to lie in [low, high], by rejection. Throws InputError for an interval hardly ever hit. */
export const truncatedNormal =
  ({ mean = 0, std = 1, low = -2, high = 2 }: TruncatedNormalOptions = {}): Initialiser =>
  (shape, random) => {
    let next = 0;
    return filled(shape, () => {
      for (let tries = 0; tries < 10_000; tries++) {
        const x = mean + std * random.normal(next++);
        if (x >= low && x <= high) return x;
      }
      throw new InputError(
        `truncatedNormal: hardly any number of mean ${mean} and deviation ${std} lies in [${low}, ${high}]`,
      );
    });
  };

/** Streams set apart from those of probes (from 0) and drawn labels (from 2^40). */
const parameterStream = 2 ** 42;
/** the numbers that parameter `index` of a model is drawn with */
export const parameterRandom = (seed: number, index: number): RandomStream =>
  new RandomStream(seed, parameterStream + index);

/** What `trace` takes where nothing is said: U(±1/√fan_in) for weights (PyTorch's for linear layers), zeros for vectors. */
export const byDefault: Initialiser = (shape, random) =>
  shape.length < 2 ? zeros(shape, random) : kaimingUniform({ gain: Math.sqrt(1 / 3) })(shape, random);
