/** Lines over a common axis, as SVG in a figure with its legend: learning curves, accuracy against sparsity. */
import { html, type Markup } from './html.js';
import { significant } from './numbers.js';
import { line } from './path.js';
import { linearTicks, logTicks, type Tick } from './ticks.js';

export interface Series {
  readonly name: string;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

export interface LineChart {
  readonly title: string;
  readonly xTitle: string;
  readonly yTitle: string;
  /** at most seven; the colour follows the place */
  readonly series: readonly Series[];
  /** a logarithmic axis of y where all values are positive and span more than two powers of ten. Default false */
  readonly mayBeLogarithmic?: boolean;
}

const frame = { width: 960, height: 360, left: 74, right: 944, top: 16, bottom: 306 };

interface Scale {
  readonly at: (value: number) => number;
  readonly ticks: readonly Tick[];
}

function linearScale(low: number, high: number, from: number, to: number, count: number): Scale {
  const margin = high > low ? 0.03 * (high - low) : Math.max(Math.abs(low), 1) * 0.05;
  const [start, end] = [low - margin, high + margin];
  return {
    at: (v) => from + ((v - start) / (end - start)) * (to - from),
    ticks: linearTicks(start, end, count),
  };
}
function logScale(low: number, high: number, from: number, to: number): Scale {
  const [start, end] = [Math.log10(low) - 0.05, Math.log10(high) + 0.05];
  return {
    at: (v) => from + ((Math.log10(v) - start) / (end - start)) * (to - from),
    ticks: logTicks(10 ** start, 10 ** end, 8),
  };
}

/** Nothing finite to show gives a figure that says so. */
export function lineChart(chart: LineChart): Markup {
  const series = chart.series
    .map((s) => ({ ...s, points: s.points.filter((p) => Number.isFinite(p.x) && Number.isFinite(p.y)) }))
    .filter((s) => s.points.length > 0);
  const all = series.flatMap((s) => s.points);
  if (all.length === 0) return html`<p>${chart.title}: no finite values.</p>`;
  const range = (values: readonly number[]): [number, number] => [
    values.reduce((a, b) => Math.min(a, b)),
    values.reduce((a, b) => Math.max(a, b)),
  ];
  const [left, right] = range(all.map((p) => p.x));
  const [low, high] = range(all.map((p) => p.y));
  const x = linearScale(left, right, frame.left, frame.right, 10);
  const y =
    chart.mayBeLogarithmic && low > 0 && high > 100 * low
      ? logScale(low, high, frame.bottom, frame.top)
      : linearScale(low, high, frame.bottom, frame.top, 6);
  const pixel = (v: number): string => v.toFixed(1);
  const labelled = (ticks: readonly Tick[]): Tick[] => ticks.filter((t) => t.label !== '');
  const shape = (s: Series, i: number): Markup => {
    const points = s.points.map((p) => ({ x: x.at(p.x), y: y.at(p.y) }));
    const dots = points.map(
      (p, j) =>
        html`<circle class="s${i}" cx="${pixel(p.x)}" cy="${pixel(p.y)}" r="3"><title>${s.name}: ${significant(s.points[j]?.y ?? null, 5)} at ${significant(s.points[j]?.x ?? null, 4)}</title></circle>`,
    );
    return html`<path class="line s${i}" d="${line(points)}"/>${points.length <= 60 ? dots : []}`;
  };
  return html`<figure><svg class="chart" viewBox="0 0 ${frame.width} ${frame.height}" role="img" aria-label="${chart.title}">
<path class="grid" d="${[...labelled(y.ticks).map((t) => `M${frame.left} ${pixel(y.at(t.value))}H${frame.right}`), ...labelled(x.ticks).map((t) => `M${pixel(x.at(t.value))} ${frame.top}V${frame.bottom}`)].join('')}"/>
${series.map(shape)}
<path class="axis" d="M${frame.left} ${frame.bottom}H${frame.right}M${frame.left} ${frame.top}V${frame.bottom}"/>
${labelled(x.ticks).map((t) => html`<text class="tick" x="${pixel(x.at(t.value))}" y="${frame.bottom + 18}">${t.label}</text>`)}
${labelled(y.ticks).map((t) => html`<text class="tick side" x="${frame.left - 8}" y="${pixel(y.at(t.value) + 4)}">${t.label}</text>`)}
<text class="title" x="${(frame.left + frame.right) / 2}" y="${frame.height - 10}">${chart.xTitle}</text>
<text class="title" transform="translate(16 ${(frame.top + frame.bottom) / 2}) rotate(-90)">${chart.yTitle}</text>
</svg><figcaption>${series.map((s, i) => html`<span><i class="key s${i}"></i>${s.name}</span>`)}</figcaption></figure>`;
}
