/**
 * A smooth spectral density from quadrature: every node becomes a Gaussian of its weight (stochastic Lanczos
 * quadrature; Lin, Saad & Yang 2016; Ghorbani, Krishnan & Xiao 2019), with a band from the spread of the probes.
 */
import { InputError } from '../base/errors.js';
import type { Quadrature } from './quadrature.js';
import { estimate, tQuantile } from './statistics.js';

/** An estimated spectral density on a grid of eigenvalues. */
export interface Density {
  /** ascending, not evenly spaced: dense where there are eigenvalues, empty where there are none */
  readonly grid: Float64Array;
  /** integrates to 1 over the grid by the trapezoidal rule */
  readonly value: Float64Array;
  /** pointwise 95 % band for `value`; NaN with a single probe */
  readonly lower: Float64Array;
  readonly upper: Float64Array;
  /**
   * true where the band is not to be trusted: fewer than 32 probed eigenvalues (eigenvalues under the kernel
   * × probes) contribute, so the estimates there are far from normally distributed. So it is on isolated
   * eigenvalues: their places are sharp, but the heights of their peaks are rough.
   */
  readonly unreliable: readonly boolean[];
  /** standard deviation of the kernel, in units of eigenvalues */
  readonly width: number;
}

/** A kernel reaches this many widths: beyond, it is below 1e-14 of its peak. */
const reach = 8;
/** Grid points per width. The trapezoidal rule then integrates a Gaussian to full precision. */
const pointsPerWidth = 2;
/** Sums of this many squared normal numbers are nearly normal (skewness √(8/32) = 0.5). */
const enough = 32;

/**
 * Variance 1e-5 · max(1, range), as Ghorbani et al. chose it for loss Hessians, but never below 1e-4 or above
 * 1e-2 of the range: their formula alone would blur a small spectrum to nothing and split up a large one. A
 * range below 1e-3 of the eigenvalues counts as that, so that rounding errors are not drawn as structure.
 */
export function kernelWidth(lowest: number, highest: number): number {
  const size = Math.max(highest - lowest, 1e-3 * Math.max(Math.abs(lowest), Math.abs(highest)));
  if (size === 0) return 1e-2;
  const published = Math.sqrt(1e-5 * Math.max(1, size));
  return Math.min(Math.max(published, 1e-4 * size), 1e-2 * size);
}

/**
 * Density of a matrix of order `dimension` from one quadrature per probe. `width` by default is kernelWidth of
 * the nodes; InputError when it is not positive or too small to be told from rounding.
 */
export function density(quadratures: readonly Quadrature[], dimension: number, width?: number): Density {
  const nodes = quadratures.flatMap((q) => Array.from(q.nodes)).sort((a, b) => a - b);
  const [lowest, highest] = [nodes[0] as number, nodes.at(-1) as number];
  const sigma = width ?? kernelWidth(lowest, highest);
  const least = 1e-10 * Math.max(Math.abs(lowest), Math.abs(highest));
  if (!(sigma > 0 && sigma >= least && sigma < Number.POSITIVE_INFINITY)) {
    throw new InputError(`the density's kernel width must be a positive number of at least ${least}, not ${sigma}`);
  }
  const grid = makeGrid(nodes, sigma);
  const curves = quadratures.map((q) => smooth(q, grid, sigma));
  const count = curves.length;
  const t = count > 1 ? tQuantile(0.95, count - 1) : Number.NaN;

  const value = new Float64Array(grid.length);
  const half = new Float64Array(grid.length);
  const samples = new Float64Array(count);
  for (let i = 0; i < grid.length; i += 1) {
    for (let p = 0; p < count; p += 1) samples[p] = curves[p]?.[i] as number;
    const point = estimate(samples);
    value[i] = point.estimate;
    half[i] = t * (point.standardError ?? Number.NaN);
  }
  const mass = integrate(grid, value);
  for (let i = 0; i < grid.length; i += 1) {
    value[i] = (value[i] as number) / mass;
    half[i] = (half[i] as number) / mass;
  }
  // A Gaussian kernel weighs eigenvalues as a window of width 2√π σ does that counts them with equal variance.
  const window = 2 * Math.sqrt(Math.PI) * sigma;
  return {
    grid,
    value,
    lower: value.map((v, i) => Math.max(0, v - (half[i] as number))),
    upper: value.map((v, i) => v + (half[i] as number)),
    unreliable: Array.from(value, (v) => count < 3 || dimension * v * window * count < enough),
    width: sigma,
  };
}

/** ∫ value over the grid, by the trapezoidal rule. */
export function integrate(grid: Float64Array, value: Float64Array): number {
  let sum = 0;
  for (let i = 1; i < grid.length; i += 1) {
    sum += (((value[i] as number) + (value[i - 1] as number)) / 2) * ((grid[i] as number) - (grid[i - 1] as number));
  }
  return sum;
}

/**
 * The points of an even lattice that some kernel reaches. The lattice passes through the lowest node, so that
 * a single node has a point on its peak. `nodes` ascend.
 */
function makeGrid(nodes: readonly number[], sigma: number): Float64Array {
  const origin = nodes[0] as number;
  const spacing = sigma / pointsPerWidth;
  const points: number[] = [];
  let next = Number.NEGATIVE_INFINITY;
  for (const node of nodes) {
    const at = (node - origin) / spacing;
    const first = Math.max(next, Math.floor(at) - reach * pointsPerWidth);
    const last = Math.ceil(at) + reach * pointsPerWidth;
    for (let i = first; i <= last; i += 1) points.push(origin + i * spacing);
    next = Math.max(next, last + 1);
  }
  return Float64Array.from(points);
}

function smooth(q: Quadrature, grid: Float64Array, sigma: number): Float64Array {
  const curve = new Float64Array(grid.length);
  const peak = 1 / (sigma * Math.sqrt(2 * Math.PI));
  q.nodes.forEach((node, i) => {
    const weight = (q.weights[i] as number) * peak;
    const end = node + (reach + 1) * sigma;
    for (let g = lowerBound(grid, node - (reach + 1) * sigma); g < grid.length && (grid[g] as number) <= end; g += 1) {
      const x = ((grid[g] as number) - node) / sigma;
      curve[g] = (curve[g] as number) + weight * Math.exp(-0.5 * x * x);
    }
  });
  return curve;
}

/** Index of the first point ≥ x. */
function lowerBound(grid: Float64Array, x: number): number {
  let [low, high] = [0, grid.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((grid[middle] as number) < x) low = middle + 1;
    else high = middle;
  }
  return low;
}
