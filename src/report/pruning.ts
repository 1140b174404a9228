/** What `hessia prune --json` prints, and its report: accuracy and loss against sparsity, layer by layer, method by method. */
import { formatCount, formatDuration } from '../base/format.js';
import { html, type Markup } from './html.js';
import { lineChart, type Series } from './line-chart.js';
import { significant } from './numbers.js';
import {
  commandBlock,
  factList,
  parameterTable,
  type RunEnvironment,
  renderPage,
  settingList,
  type TestedContext,
} from './shell.js';
import { percent } from './training.js';

export interface Measured {
  readonly loss: number;
  readonly accuracy: number | null;
}
export interface PrunedLayerEntry {
  readonly name: string;
  readonly sparsity: number;
  /** this layer's part of the predicted increase; null for methods that predict none */
  readonly predictedIncrease: number | null;
}
export interface PruningRun {
  readonly method: string;
  readonly sparsity: number;
  /** on the test data, or the calibration data where there are none */
  readonly after: Measured;
  /** of the loss on the calibration data, by the removals alone */
  readonly predictedIncrease: number | null;
  readonly measuredIncrease: number;
  readonly layers: readonly PrunedLayerEntry[];
  readonly seconds: number;
}

/** Its own fields are those of the run that was written: the first method, at the largest sparsity. */
export interface PruningDocument extends PruningRun, RunEnvironment {
  readonly schemaVersion: 1;
  readonly model: string;
  readonly out: string;
  readonly pattern: string;
  readonly before: Measured;
  /** every method at every sparsity */
  readonly runs: readonly PruningRun[];
  readonly scope: string;
  readonly steps: number;
  readonly events: number;
  readonly finetuneEpochs: number;
  readonly weights: number;
  readonly samples: number;
  readonly tested: boolean;
}

export function renderPruning(document: PruningDocument, context: TestedContext): string {
  const { before, after, runs } = document;
  const where = document.tested ? 'test' : 'calibration';
  return renderPage({
    title: `Pruning of ${document.model.replace(/^.*[/\\](?=.)/, '')}`,
    version: document.version,
    date: context.date,
    deviceName: document.deviceName,
    body: html`<p class="lead">Of <b>${formatCount(document.weights)}</b> weights, ${document.method} removed <b>${percent(document.sparsity)}</b> (${document.pattern}): the ${where} loss went from ${significant(before.loss, 4)} to <b>${significant(after.loss, 4)}</b>${after.accuracy === null ? '' : html`, the accuracy from ${percent(before.accuracy)} to <b>${percent(after.accuracy)}</b>`}.</p>
${factList([
  ['sparsity', percent(document.sparsity)],
  [`${where} loss`, significant(after.loss, 5)],
  [`${where} accuracy`, percent(after.accuracy)],
  ['predicted increase', significant(document.predictedIncrease, 4)],
  ['measured increase', significant(document.measuredIncrease, 4)],
])}
<h2>Against sparsity</h2>
${curves(`${where} accuracy by sparsity`, 'accuracy in %', runs, (r) => (r.after.accuracy === null ? null : 100 * r.after.accuracy), before.accuracy === null ? null : 100 * before.accuracy)}
${curves(`${where} loss by sparsity`, 'loss', runs, (r) => r.after.loss, before.loss)}
<h2>Predicted and measured</h2>
<p>The increase of the loss on the calibration data by removing the weights, before any fine-tuning: what the method's quadratic model of the loss says, and what it was. The model holds for small changes at a minimum of the loss.</p>
${predictions(runs)}
<h2>Runs</h2>
${runTable(runs)}
<h2>Layers</h2>
${layerTable(runs)}
<h2>Settings</h2>
${commandBlock(context.command)}
${settingList([
  ['model', document.model],
  ['written to', `${document.out} (${document.method}, ${percent(document.sparsity)})`],
  ['calibration data', `${context.data.join(', ')}, ${formatCount(document.samples)} samples`],
  ['test data', context.test.join(', ') || 'none'],
  ['loss', context.lossName],
  ['pattern', document.pattern],
  ['scope', document.scope],
  ['steps', String(document.steps)],
  ['events', `${document.events}, ${document.finetuneEpochs} epochs of fine-tuning after each`],
  ['seed', String(document.seed)],
  ['precision', document.dtype],
  ['device', document.deviceName],
])}
<h2>Parameters</h2>
${parameterTable(context.parameters)}`,
  });
}

const methodsOf = (runs: readonly PruningRun[]): string[] => [...new Set(runs.map((r) => r.method))];

function curves(
  title: string,
  yTitle: string,
  runs: readonly PruningRun[],
  value: (r: PruningRun) => number | null,
  unpruned: number | null,
): Markup | string {
  if (unpruned === null) return '';
  const series = methodsOf(runs).map(
    (name): Series => ({
      name,
      points: [
        { x: 0, y: unpruned },
        ...runs
          .filter((r) => r.method === name && r.sparsity > 0)
          .map((r) => ({ x: 100 * r.sparsity, y: value(r) ?? Number.NaN })),
      ],
    }),
  );
  return lineChart({ title, xTitle: 'weights removed, in %', yTitle, series, mayBeLogarithmic: true });
}

function predictions(runs: readonly PruningRun[]): Markup {
  const some = methodsOf(runs.filter((r) => r.predictedIncrease !== null)).slice(0, 3);
  if (some.length === 0) return html`<p>None of these methods predicts the loss.</p>`;
  const points = (name: string, value: (r: PruningRun) => number | null): Series['points'] =>
    runs.filter((r) => r.method === name).map((r) => ({ x: 100 * r.sparsity, y: value(r) ?? Number.NaN }));
  return lineChart({
    title: 'Predicted and measured increase of the loss',
    xTitle: 'weights removed, in %',
    yTitle: 'increase of the loss',
    series: some.flatMap((name) => [
      { name: `${name}, predicted`, points: points(name, (r) => r.predictedIncrease) },
      { name: `${name}, measured`, points: points(name, (r) => r.measuredIncrease) },
    ]),
    mayBeLogarithmic: true,
  });
}

function runTable(runs: readonly PruningRun[]): Markup {
  const rows = runs.map(
    (r) =>
      html`<tr><td class="text">${r.method}</td><td>${percent(r.sparsity)}</td><td>${significant(r.after.loss, 5)}</td><td>${percent(r.after.accuracy)}</td><td>${significant(r.predictedIncrease, 4)}</td><td>${significant(r.measuredIncrease, 4)}</td><td>${formatDuration(r.seconds)}</td></tr>\n`,
  );
  return html`<table><thead><tr><th scope="col" class="text">method</th><th scope="col">sparsity</th><th scope="col">loss</th><th scope="col">accuracy</th><th scope="col">predicted increase</th><th scope="col">measured increase</th><th scope="col">time</th></tr></thead><tbody>${rows}</tbody></table>`;
}

/** each method at its largest sparsity */
function layerTable(runs: readonly PruningRun[]): Markup {
  const last = methodsOf(runs).map((name) => runs.filter((r) => r.method === name).at(-1) as PruningRun);
  const names = last[0]?.layers.map((l) => l.name) ?? [];
  const rows = names.map(
    (name, l) =>
      html`<tr><td class="text"><code>${name}</code></td>${last.map((r) => html`<td>${percent(r.layers[l]?.sparsity ?? null)}</td>`)}</tr>\n`,
  );
  return html`<table><thead><tr><th scope="col" class="text">sparsity of</th>${last.map((r) => html`<th scope="col">${r.method}, ${percent(r.sparsity)}</th>`)}</tr></thead><tbody>${rows}</tbody></table>`;
}
