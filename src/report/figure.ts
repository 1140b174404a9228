/** What the spectrum's figure shows and where: curves in pixels, axes, marks. No markup here. */
import { type Axis, eigenvalueAxis, logAxis, type Range } from './axis.js';
import type { JsonEigenvalue, SpectrumDocument } from './document.js';
import { type Point, thin } from './path.js';

/** In pixels: the whole, and the rectangle of the plot. */
export interface Frame {
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

export interface Mark extends JsonEigenvalue {
  readonly x: number;
  readonly y: number;
  /** "λ₁" from the top, "λₙ" from the bottom; empty where there is no room */
  readonly label: string;
}

export interface Band {
  readonly upper: readonly Point[];
  readonly lower: readonly Point[];
  readonly unreliable: boolean;
}

export interface Figure {
  readonly frame: Frame;
  readonly x: Axis;
  readonly y: Axis;
  readonly curve: readonly Point[];
  readonly bands: readonly Band[];
  readonly ritz: readonly number[];
  readonly marks: readonly Mark[];
}

/** How far under the plot a density of 0 is drawn: out of sight, where the clip ends. */
const sunk = 8;
/** The floor of the density axis below the peak that one eigenvalue makes. */
const floorBelowOne = 12;

export function layOut(document: SpectrumDocument, frame: Frame): Figure {
  const { density, dimension } = document;
  const { grid, width } = density;
  const nodes = document.ritz.flatMap((q) => q.nodes);
  const extremes = [...nodes, ...document.largest.map((e) => e.value), ...document.smallest.map((e) => e.value)];
  const low = extremes.reduce((a, b) => Math.min(a, b)) - 4 * width;
  const high = extremes.reduce((a, b) => Math.max(a, b)) + 4 * width;
  const x = eigenvalueAxis({ low, high }, bulk(document), frame.left, frame.right);

  const most = density.value.reduce((a, b) => Math.max(a, b), 0);
  const one = 1 / (dimension * width * Math.sqrt(2 * Math.PI));
  const y = logAxis(Math.min(one / floorBelowOne, most / 100), most * 2, frame.bottom, frame.top, sunk);

  const points = (values: readonly (number | null)[], from = 0, to = values.length): Point[] =>
    thin(grid.slice(from, to).map((g, i) => ({ x: x.at(g), y: y.at(values[from + i] ?? 0) })));
  return {
    frame,
    x,
    y,
    curve: points(density.value),
    bands: stretches(density.unreliable, density.lower).map(({ from, to, flag }) => ({
      upper: points(density.upper, from, to),
      lower: points(density.lower, from, to),
      unreliable: flag,
    })),
    ritz: nodes.map(x.at),
    marks: marks(document, x, y, one),
  };
}

/**
 * Where the eigenvalues are but for outliers, by Tukey's fences (quartiles of the mean quadrature, and 1.5 times
 * their distance beyond) and the kernel around it.
 */
export function bulk({ ritz, density }: SpectrumDocument): Range {
  const weighted = ritz
    .flatMap((q) => q.nodes.map((node, i) => ({ node, weight: (q.weights[i] as number) / ritz.length })))
    .sort((a, b) => a.node - b.node);
  const quantile = (part: number): number => {
    let sum = 0;
    const found = weighted.find(({ weight }) => {
      sum += weight;
      return sum > part;
    });
    return (found ?? weighted.at(-1))?.node ?? 0;
  };
  const [lower, upper] = [quantile(0.25), quantile(0.75)];
  const reach = 1.5 * (upper - lower);
  const low = Math.max(lower - reach, weighted[0]?.node ?? 0);
  const high = Math.min(upper + reach, weighted.at(-1)?.node ?? 0);
  return { low: low - 2 * density.width, high: high + 2 * density.width };
}

/** Runs of equal flags that overlap by a point, so that no gap shows; none where there is no band at all. */
function stretches(
  flags: readonly boolean[],
  lower: readonly (number | null)[],
): { from: number; to: number; flag: boolean }[] {
  const runs: { from: number; to: number; flag: boolean }[] = [];
  if (lower.every((v) => v === null)) return runs;
  for (let i = 0; i < flags.length; i += 1) {
    const last = runs.at(-1);
    const flag = flags[i] as boolean;
    if (last && last.flag === flag) last.to = i + 1;
    else {
      if (last) last.to = i + 1;
      runs.push({ from: i, to: i + 1, flag });
    }
  }
  return runs;
}

const labelRoom = 30;
const subscript = (n: number): string => [...String(n)].map((d) => '₀₁₂₃₄₅₆₇₈₉'[Number(d)]).join('');

/** The extreme eigenvalues on the figure. A single unresolved one at an end is the end of a continuum, and marked too. */
function marks({ largest, smallest }: SpectrumDocument, x: Axis, y: Axis, one: number): Mark[] {
  const taken: number[] = [];
  const mark = (e: JsonEigenvalue, label: string): Mark => {
    const at = x.at(e.value);
    const free = taken.every((t) => Math.abs(t - at) >= labelRoom);
    if (free) taken.push(at);
    return { ...e, x: at, y: y.at(one), label: free ? label : '' };
  };
  const bottom = (i: number): string => (i === 0 ? 'λₙ' : `λₙ₋${subscript(i)}`);
  const listed = new Set(largest.map((e) => e.value));
  return [
    ...largest.map((e, i) => mark(e, `λ${subscript(i + 1)}`)),
    ...smallest
      .map((e, i) => ({ e, i }))
      .filter(({ e }) => !listed.has(e.value))
      .map(({ e, i }) => mark(e, bottom(i))),
  ];
}
