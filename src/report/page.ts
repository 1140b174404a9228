/** The report: one HTML file that needs nothing else and asks the network for nothing. */
import { formatCount, formatDuration } from '../base/format.js';
import { spectrumChart } from './chart.js';
import {
  type JsonEigenvalue,
  modelName,
  operatorTitles,
  type ReportContext,
  type SpectrumDocument,
} from './document.js';
import { html, type Markup, nothing, raw } from './html.js';
import { reliabilityNotes } from './notes.js';
import { significant, withError } from './numbers.js';
import { script } from './script.js';
import { chartStyle, colours, pageStyle } from './style.js';

export function renderReport(document: SpectrumDocument, context: ReportContext): string {
  const title = `${capital(operatorTitles[document.operator])}: spectrum of ${modelName(document)}`;
  return `${
    html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="hessia ${document.version}">
<title>${title}</title>
<style>${raw(colours(':root'))}${raw(chartStyle)}${raw(pageStyle)}</style>
</head>
<body>
<main>
<h1>${title}</h1>
${lead(document, context)}
${facts(document)}
${figure(document)}
<h2>Extreme eigenvalues</h2>
<div class="pair">${eigenvalues('Largest', document.largest)}${eigenvalues('Smallest', document.smallest)}</div>
<h2>How far to trust this</h2>
<ul>${reliabilityNotes(document).map((n) => html`<li>${n}</li>`)}</ul>
<h2>Settings</h2>
<pre><code>${context.command}</code></pre>
${settings(document, context)}
<h2>Parameters</h2>
${parameters(document, context)}
<footer>hessia ${document.version} · ${context.date.toISOString().slice(0, 16).replace('T', ' ')} UTC · ${document.deviceName}</footer>
</main>
<script>${raw(script)}</script>
</body>
</html>`.text
  }\n`;
}

const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

function lead(document: SpectrumDocument, context: ReportContext): Markup {
  const { largest, smallest, trace, dimension, samples } = document;
  const [top, bottom] = [largest[0]?.value ?? null, smallest[0]?.value ?? null];
  const of =
    document.operator === 'hessian'
      ? `the mean ${context.lossName} loss`
      : `the model under its ${context.lossName} loss`;
  const tail =
    bottom !== null && bottom < 0 && document.operator === 'hessian'
      ? html` and at the other end reach <b>${significant(bottom)}</b>: there are directions of negative curvature`
      : html`; the smallest found is <b>${significant(bottom)}</b>`;
  return html`<p class="lead">The ${operatorTitles[document.operator]} of ${of} of <b>${modelName(document)}</b> over <b>${formatCount(samples)}</b> samples
has <b>${formatCount(dimension)}</b> eigenvalues. The largest is <b>${significant(top)}</b>${tail}. Their sum is <b>${withError(trace.estimate, trace.standardError)}</b>,
so that the average eigenvalue is ${significant(trace.estimate / dimension, 3)}. The loss is ${significant(document.loss, 5)} and the norm of its gradient ${significant(document.gradientNorm, 3)}.</p>`;
}

function facts({ largest, smallest, trace, loss, gradientNorm, dimension }: SpectrumDocument): Markup {
  const fact = (name: Markup | string, value: string): Markup => html`<div><dt>${name}</dt><dd>${value}</dd></div>`;
  return html`<dl class="facts">
${fact('largest eigenvalue', significant(largest[0]?.value ?? null))}${fact('smallest eigenvalue', significant(smallest[0]?.value ?? null))}
${fact('trace ± std. error', withError(trace.estimate, trace.standardError))}${fact('loss', significant(loss, 5))}
${fact('gradient norm', significant(gradientNorm, 4))}${fact('dimension', formatCount(dimension))}
</dl>`;
}

function figure(document: SpectrumDocument): Markup {
  const band =
    document.probes > 1
      ? html`<span><i class="key b"></i>95 % band</span><span><i class="key r"></i>band not reliable (few eigenvalues)</span>`
      : nothing;
  return html`<figure>${spectrumChart(document)}
<figcaption><span><i class="key l"></i>density, mean of ${document.probes} ${document.probes === 1 ? 'probe' : 'probes'}</span>${band}<span><i class="key t"></i>eigenvalues listed below</span>
<br>Strokes under the curve: the Ritz values of all probes (${formatCount(document.ritz.reduce((n, q) => n + q.nodes.length, 0))}).</figcaption></figure>`;
}

function eigenvalues(name: string, list: readonly JsonEigenvalue[]): Markup {
  const rows = list.map(
    (e, i) =>
      html`<tr><td>${i + 1}</td><td>${significant(e.value, 7)}</td><td>${significant(e.residual, 2)}</td></tr>\n`,
  );
  return html`<table><caption>${name}</caption><thead><tr><th scope="col">#</th><th scope="col">eigenvalue</th><th scope="col">residual ‖Av − λv‖</th></tr></thead><tbody>${rows}</tbody></table>`;
}

function settings(document: SpectrumDocument, context: ReportContext): Markup {
  const rows: [string, string][] = [
    ['model', document.model],
    ['data', context.data.join(', ')],
    ['loss', context.lossName],
    ['samples', `${formatCount(document.samples)} in batches of ${formatCount(document.batchSize)}`],
    ['operator', document.operator],
    ['Lanczos', `${document.steps} steps, ${document.probes} probes, seed ${document.seed}`],
    [
      'products',
      `${formatCount(document.products)} in ${formatDuration(document.seconds)} (${significant(document.products / document.seconds, 3)} per second)`,
    ],
    ['precision', document.dtype],
    ['device', document.deviceName],
    ['threads', String(document.threads)],
    ['version', `hessia ${document.version}`],
  ];
  return html`<dl class="settings">${rows.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>\n`)}</dl>`;
}

function parameters({ dimension }: SpectrumDocument, context: ReportContext): Markup {
  const rows = context.parameters.map(
    (p) =>
      html`<tr><td class="text"><code>${p.name}</code></td><td>${p.shape.join(' × ')}</td><td>${formatCount(p.count)}</td><td>${share(p.count / dimension)}</td></tr>\n`,
  );
  return html`<table><thead><tr><th scope="col" class="text">name</th><th scope="col">shape</th><th scope="col">count</th><th scope="col">share</th></tr></thead>
<tbody>${rows}<tr><td><b>total</b></td><td></td><td><b>${formatCount(dimension)}</b></td><td></td></tr></tbody></table>`;
}

const share = (part: number): string => (part < 0.001 ? '< 0.1 %' : `${(100 * part).toFixed(1)} %`);
