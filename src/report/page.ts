/** The report of a spectrum. */
import { formatCount, formatDuration } from '../base/format.js';
import { spectrumChart } from './chart.js';
import {
  type JsonEigenvalue,
  modelName,
  operatorTitles,
  type ReportContext,
  type SpectrumDocument,
} from './document.js';
import { html, type Markup, nothing } from './html.js';
import { reliabilityNotes } from './notes.js';
import { significant, withError } from './numbers.js';
import { script } from './script.js';
import { capital, commandBlock, factList, parameterTable, renderPage, settingList } from './shell.js';

export function renderReport(document: SpectrumDocument, context: ReportContext): string {
  return renderPage({
    title: `${capital(operatorTitles[document.operator])}: spectrum of ${modelName(document)}`,
    version: document.version,
    date: context.date,
    deviceName: document.deviceName,
    script,
    body: html`${lead(document, context)}
${facts(document)}
${figure(document)}
<h2>Extreme eigenvalues</h2>
<div class="pair">${eigenvalues('Largest', document.largest)}${eigenvalues('Smallest', document.smallest)}</div>
<h2>How far to trust this</h2>
<ul>${reliabilityNotes(document).map((n) => html`<li>${n}</li>`)}</ul>
<h2>Settings</h2>
${commandBlock(context.command)}
${settings(document, context)}
<h2>Parameters</h2>
${parameterTable(context.parameters)}`,
  });
}

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
  return factList([
    ['largest eigenvalue', significant(largest[0]?.value ?? null)],
    ['smallest eigenvalue', significant(smallest[0]?.value ?? null)],
    ['trace ± std. error', withError(trace.estimate, trace.standardError)],
    ['loss', significant(loss, 5)],
    ['gradient norm', significant(gradientNorm, 4)],
    ['dimension', formatCount(dimension)],
  ]);
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
  return settingList(rows);
}
