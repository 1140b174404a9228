/** The figure as SVG: inside the report, or as a picture of its own. */
import { modelName, operatorTitles, type SpectrumDocument } from './document.js';
import { type Figure, type Frame, layOut } from './figure.js';
import { html, type Markup, nothing, raw } from './html.js';
import { significant } from './numbers.js';
import { area, smooth, strokes } from './path.js';
import { chartStyle, colours } from './style.js';

const frame: Frame = { width: 960, height: 440, left: 66, right: 944, top: 34, bottom: 350 };
const rugTop = frame.bottom + 7;
const rugHeight = 13;
const axisAt = rugTop + rugHeight + 5;

export interface ChartOptions {
  /** A file of its own, with colours for light and dark in it. Default: a part of a page that has them. */
  readonly standalone?: boolean;
}

export function spectrumChart(document: SpectrumDocument, options: ChartOptions = {}): Markup {
  const figure = layOut(document, frame);
  const { standalone = false } = options;
  const title = `Spectral density of the ${operatorTitles[document.operator]} of ${modelName(document)}`;
  const own = standalone
    ? raw(` xmlns="http://www.w3.org/2000/svg" width="${frame.width}" height="${frame.height}"`)
    : nothing;
  return html`<svg class="chart"${own} viewBox="0 0 ${frame.width} ${frame.height}" role="img" aria-labelledby="chart-title chart-text"${readout(figure)}>
<title id="chart-title">${title}</title>
<desc id="chart-text">${description(document, figure)}</desc>
${standalone ? html`<style>${raw(colours('svg'))}${raw(chartStyle)}</style><rect class="paper" width="${frame.width}" height="${frame.height}"/>` : nothing}
<defs><clipPath id="plot"><rect x="${frame.left}" y="${frame.top - 2}" width="${frame.right - frame.left}" height="${frame.bottom - frame.top + 2}"/></clipPath></defs>
${grid(figure)}
${figure.marks.map((m) => html`<path class="drop" d="M${m.x.toFixed(1)} ${frame.top}V${rugTop}"/>`)}
<g clip-path="url(#plot)">
${figure.bands.map((b) => html`<path class="${b.unreliable ? 'band rough' : 'band'}" d="${area(b.upper, b.lower)}"/>`)}
<path class="curve" d="${smooth(figure.curve)}"/>
</g>
<path class="rug" d="${strokes(figure.ritz, rugTop, rugHeight)}"/>
${figure.marks.map(
  (m) =>
    html`<path class="mark" d="M${m.x.toFixed(1)} ${rugTop - 3}l4.5 8.5h-9z"><title>${m.label || 'λ'} = ${significant(m.value, 6)}, residual ${significant(m.residual, 2)}</title></path>${
      m.label ? html`<text class="name" x="${m.x.toFixed(1)}" y="${frame.top - 8}">${m.label}</text>` : nothing
    }`,
)}
${axes(figure)}
<g class="cursor" visibility="hidden"><path d="M0 ${frame.top}V${frame.bottom}"/><text y="${frame.top + 14}"></text></g>
</svg>`;
}

/** A picture of its own, for documents. */
export function spectrumSvg(document: SpectrumDocument): string {
  return `${spectrumChart(document, { standalone: true }).text}\n`;
}

function grid({ x, y }: Figure): Markup {
  const horizontal = y.ticks
    .filter((t) => t.label !== '')
    .map((t) => `M${frame.left} ${y.at(t.value).toFixed(1)}H${frame.right}`);
  const vertical = x.ticks
    .filter((t) => t.label !== '')
    .map((t) => `M${x.at(t.value).toFixed(1)} ${frame.top}V${frame.bottom}`);
  return html`<path class="grid" d="${[...horizontal, ...vertical].join('')}"/>`;
}

function axes({ x, y }: Figure): Markup {
  const tickLength = (label: string): number => (label === '' ? 3 : 6);
  const below = x.ticks.map((t) => `M${x.at(t.value).toFixed(1)} ${axisAt}v${tickLength(t.label)}`);
  const beside = y.ticks.map((t) => `M${frame.left} ${y.at(t.value).toFixed(1)}h${-tickLength(t.label)}`);
  const middle = (frame.left + frame.right) / 2;
  const upright = (frame.top + frame.bottom) / 2;
  const scale = x.kind === 'symlog' ? ` (linear within ±${significant(x.knee, 2)}, logarithmic beyond)` : '';
  return html`<path class="axis" d="M${frame.left} ${axisAt}H${frame.right}M${frame.left} ${frame.top}V${frame.bottom}${below.join('')}${beside.join('')}"/>
${x.ticks.filter((t) => t.label !== '').map((t) => html`<text class="tick" x="${x.at(t.value).toFixed(1)}" y="${axisAt + 20}">${t.label}</text>`)}
${y.ticks.filter((t) => t.label !== '').map((t) => html`<text class="tick side" x="${frame.left - 10}" y="${(y.at(t.value) + 4).toFixed(1)}">${t.label}</text>`)}
<text class="title" x="${middle}" y="${frame.height - 12}">eigenvalue λ${scale}</text>
<text class="title" transform="translate(16 ${upright}) rotate(-90)">density per unit of λ (logarithmic)</text>`;
}

/** What the script under the figure turns pixels back into eigenvalues with. */
function readout({ x, y }: Figure): Markup {
  const values = {
    kind: x.kind,
    low: x.low,
    high: x.high,
    knee: x.knee,
    floor: y.low,
    top: y.high,
    left: frame.left,
    right: frame.right,
    upper: frame.top,
    lower: frame.bottom,
  };
  return html` data-axes="${JSON.stringify(values)}"`;
}

function description(document: SpectrumDocument, { x }: Figure): string {
  const { largest, smallest, dimension, probes, steps } = document;
  const top = largest.map((e) => significant(e.value)).join(', ');
  const bottom = smallest.map((e) => significant(e.value)).join(', ');
  return (
    `Density of ${dimension} eigenvalues on a logarithmic scale over eigenvalues on a ${x.kind === 'linear' ? 'linear' : 'symmetric logarithmic'} scale ` +
    `from ${significant(x.low)} to ${significant(x.high)}, estimated from ${probes} probes of ${steps} Lanczos steps. ` +
    `Largest eigenvalues: ${top}. Smallest: ${bottom}.`
  );
}
