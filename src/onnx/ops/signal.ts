/**
 * Fourier transforms as products with cosines and sines: linear, so differentiable to every order at the cost of a
 * matrix product per axis, N·K multiply-adds for N samples and K frequencies.
 */
import { InputError } from '../../base/errors.js';
import { type Node, ops } from '../../graph/index.js';
import type { Op, OpTable } from '../op.js';
import { checkTable, Known } from '../values.js';

/** cos and sin of 2π·n·k/period, [count, frequencies] each */
function waves(like: Node, count: number, frequencies: number, period: number): { cos: Node; sin: Node } {
  checkTable(count * frequencies, 'the matrix of the transform');
  const table = (wave: (angle: number) => number): Node => {
    const data = Float64Array.from({ length: count * frequencies }, (_, i) => {
      // the product is reduced while it is exact
      const turns = ((Math.floor(i / frequencies) * (i % frequencies)) % period) / period;
      return wave(2 * Math.PI * turns);
    });
    const values = like.dtype === 'float64' ? data : Float32Array.from(data);
    return like.graph.constant(values, [count, frequencies], like.dtype);
  };
  return { cos: table(Math.cos), sin: table(Math.sin) };
}

/** real and imaginary parts, the latter absent where the last axis has the extent 1 */
function partsOf(x: Node): { re: Node; im: Node | undefined } {
  const rest = x.shape.slice(0, -1),
    last = x.shape.length - 1;
  const pick = (i: number): Node => ops.reshape(ops.slice(x, [...rest.map(() => 0), i], [...rest, 1]), rest);
  if (x.shape[last] !== 1 && x.shape[last] !== 2)
    throw new InputError(`needs [..., 1] or [..., 2] for real or complex numbers, got [${x.shape}]`);
  return { re: pick(0), im: x.shape[last] === 2 ? pick(1) : undefined };
}
/** the first `extent` elements of an axis, zeros behind its end */
function fitted(x: Node, axis: number, extent: number): Node {
  const own = x.shape[axis] as number,
    zeros = x.shape.map(() => 0);
  if (own > extent)
    return ops.slice(
      x,
      zeros,
      x.shape.map((d, i) => (i === axis ? extent : d)),
    ); // prettier-ignore
  return ops.pad(
    x,
    zeros,
    x.shape.map((_, i) => (i === axis ? extent - own : 0)),
  );
}

/**
 * y[k] = Σₙ x[n]·e^(∓2πi·nk/N), divided by N where inverse. One-sided: k ≤ N/2 only; one-sided and inverse: x are those
 * frequencies and y is real.
 */
function dft(op: Op): Node {
  const x = op.floating(0),
    rank = x.shape.length,
    inverse = op.int('inverse', 0) !== 0,
    oneSided = op.int('onesided', 0) !== 0;
  const given = op.opset < 20 ? op.int('axis', 1) : op.hasInput(2) ? op.scalar(2, 'axis') : -2;
  const axis = ops.normaliseAxis(given, rank);
  if (rank < 2 || axis === rank - 1) throw new InputError(`axis ${given} of [${x.shape}] is not one of samples`);
  const real = inverse && oneSided;
  const own = x.shape[axis] as number;
  const length = op.hasInput(1) ? op.scalar(1, 'dft_length') : real ? 2 * (own - 1) : own;
  if (!Number.isInteger(length) || length < 1) throw new InputError(`a transform of length ${length} is impossible`);
  const half = Math.floor(length / 2) + 1;
  const samples = real ? half : length,
    frequencies = oneSided && !inverse ? half : length;
  const { re, im } = partsOf(x);
  const { cos, sin } = waves(x, samples, frequencies, length);
  const letters = [...'abcdefghijkl'].slice(0, rank - 1),
    out = letters.with(axis, 'z');
  const times = (part: Node, table: Node): Node =>
    ops.dot(fitted(part, axis, samples), table, letters.join(''), `${letters[axis]}z`, out.join(''));
  if (real) {
    // every frequency but the first and, for even lengths, the last stands for its conjugate, too
    const twice = Float64Array.from({ length: half }, (_, k) => (k === 0 || 2 * k === length ? 1 : 2) / length);
    const both = x.graph.constant(x.dtype === 'float64' ? twice : Float32Array.from(twice), [half, 1], x.dtype);
    const y = times(re, ops.mul(cos, both));
    return ops.expandDims(im ? ops.sub(y, times(im, ops.mul(sin, both))) : y, rank - 1);
  }
  const turned = inverse ? sin : ops.neg(sin);
  const yRe = im ? ops.sub(times(re, cos), times(im, turned)) : times(re, cos);
  const yIm = im ? ops.add(times(re, turned), times(im, cos)) : times(re, turned);
  const y = ops.concat([ops.expandDims(yRe, rank - 1), ops.expandDims(yIm, rank - 1)], rank - 1);
  return inverse ? ops.mul(y, 1 / length) : y;
}

/** The transform of windowed frames: a convolution with windowed waves, strided by the frame step. */
function stft(op: Op): Node {
  const given = op.floating(0),
    x = given.shape.length === 2 ? ops.expandDims(given, 2) : given,
    step = op.scalar(1, 'frame_step'),
    window = op.maybe(2);
  const [batch = 0, samples = 0, channels = 0] = x.shape;
  const length = op.hasInput(3) ? op.scalar(3, 'frame_length') : (window?.shape[0] ?? samples);
  if (x.shape.length !== 3 || (channels !== 1 && channels !== 2))
    throw new InputError(`needs a signal [batch, samples, 1 or 2], got [${given.shape}]`);
  if (!Number.isInteger(step) || step < 1 || !Number.isInteger(length) || length < 1 || length > samples)
    throw new InputError(`frames of ${length} every ${step} do not fit ${samples} samples`);
  if (window && (window.shape.length !== 1 || window.shape[0] !== length))
    throw new InputError(`a window [${window.shape}] does not fit frames of ${length}`);
  const bins = op.int('onesided', 1) !== 0 && channels === 1 ? Math.floor(length / 2) + 1 : length;
  const { cos, sin } = waves(x, length, bins, length);
  const row = (wave: Node): Node => {
    const turned = ops.transpose(wave, [1, 0]);
    return ops.expandDims(window ? ops.mul(turned, window) : turned, 1);
  };
  const [c, s] = [row(cos), row(sin)];
  // rows: the real parts of all bins, then the imaginary ones; columns: real and imaginary samples
  const re = channels === 1 ? c : ops.concat([c, s], 1);
  const im = channels === 1 ? ops.neg(s) : ops.concat([ops.neg(s), c], 1);
  const geometry = { strides: [step], padLow: [0], padHigh: [0], dilations: [1], groups: 1 };
  const y = ops.conv(ops.transpose(x, [0, 2, 1]), ops.concat([re, im], 0), geometry);
  const frames = y.shape[2] as number;
  return ops.transpose(ops.reshape(y, [batch, 2, bins, frames]), [0, 3, 2, 1]);
}

/** Triangles evenly spaced on the mel scale, [dft_length/2 + 1, bins]. */
function melWeights(op: Op): Known {
  const [bins, length, rate] = [op.scalar(0, 'num_mel_bins'), op.scalar(1, 'dft_length'), op.scalar(2, 'sample_rate')];
  const [low, high] = [3, 4].map((i) => 2595 * Math.log10(1 + op.scalar(i, 'an edge in hertz') / 700)) as [
    number,
    number,
  ];
  const rows = Math.floor(length / 2) + 1;
  if (!(bins >= 1) || !(length >= 1) || !(rate > 0)) throw new InputError('has impossible sizes');
  checkTable(rows * bins, 'the matrix');
  // the row at which triangle i starts; it peaks at the next one's start and ends at that of the next but one
  const starts = Array.from({ length: bins + 2 }, (_, i) => {
    const hertz = 700 * (10 ** ((i * ((high - low) / (bins + 2)) + low) / 2595) - 1);
    return Math.floor(((length + 1) * hertz) / rate);
  });
  if (starts.some((s) => !(s >= 0 && s < rows)))
    throw new InputError(`frequencies of ${starts[0]} to ${starts.at(-1)} lie outside the spectrum of ${rows}`);
  const data = new Float64Array(rows * bins);
  for (let i = 0; i < bins; i++) {
    const [from, peak, end] = starts.slice(i, i + 3) as [number, number, number];
    if (from === peak) data[peak * bins + i] = 1;
    for (let j = from; j <= peak && from < peak; j++) data[j * bins + i] = (j - from) / (peak - from);
    for (let j = peak; j < end; j++) data[j * bins + i] = (end - j) / (end - peak);
  }
  return new Known([rows, bins], op.typeOf(op.typeAttribute('output_datatype', 'float32')), data);
}

export const signalOps: OpTable = {
  DFT: { limits: 'length and axis must be known at import', build: dft },
  STFT: { limits: 'step and length of the frames must be known at import', build: stft },
  MelWeightMatrix: { limits: 'of numbers known at import', build: melWeights },
};
