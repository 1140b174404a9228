/** What `hessia train --json` prints, and the report of a training run: learning curves and settings. */
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

export interface EpochEntry {
  readonly epoch: number;
  readonly trainLoss: number;
  readonly testLoss: number | null;
  readonly testAccuracy: number | null;
  readonly seconds: number;
  readonly learningRate: number;
}

export interface TrainingDocument extends RunEnvironment {
  readonly schemaVersion: 1;
  readonly model: string;
  readonly out: string;
  readonly optimizer: string;
  /** the optimizer's options */
  readonly options: Readonly<Record<string, number | string | boolean>>;
  readonly dimension: number;
  readonly samples: number;
  readonly batchSize: number;
  readonly steps: number;
  readonly epochs: readonly EpochEntry[];
  readonly best: EpochEntry;
  /** epochs taken over from the checkpoint */
  readonly resumed: number;
  readonly seconds: number;
}

export const percent = (part: number | null): string => (part === null ? '–' : `${(100 * part).toFixed(2)} %`);

export function renderTraining(document: TrainingDocument, context: TestedContext): string {
  const { epochs, best } = document;
  const last = epochs.at(-1) as EpochEntry;
  const tested = best.testLoss !== null;
  return renderPage({
    title: `Training of ${document.model.replace(/^.*[/\\](?=.)/, '')} by ${document.optimizer}`,
    version: document.version,
    date: context.date,
    deviceName: document.deviceName,
    body: html`<p class="lead"><b>${formatCount(document.dimension)}</b> parameters, <b>${formatCount(document.samples)}</b> samples, ${epochs.length} ${epochs.length === 1 ? 'epoch' : 'epochs'} of ${document.optimizer}: the training loss ended at <b>${significant(last.trainLoss, 4)}</b>${tested ? html`, the test loss at <b>${significant(last.testLoss, 4)}</b>${last.testAccuracy === null ? '' : html` with <b>${percent(last.testAccuracy)}</b> of the labels right`}` : ''}. The smallest ${tested ? 'test' : 'training'} loss was that of epoch ${best.epoch}.</p>
${factList([
  ['training loss', significant(last.trainLoss, 5)],
  ['test loss', significant(last.testLoss, 5)],
  ['test accuracy', percent(last.testAccuracy)],
  ['best epoch', String(best.epoch)],
  ['time', formatDuration(document.seconds)],
])}
<h2>Loss</h2>
${lossChart(epochs)}
${accuracyChart(epochs)}
<h2>Epochs</h2>
${epochTable(epochs)}
<h2>Settings</h2>
${commandBlock(context.command)}
${settingList([
  ['model', document.model],
  ['written to', document.out],
  ['training data', context.data.join(', ')],
  ['test data', context.test.join(', ') || 'none'],
  ['loss', context.lossName],
  ['optimizer', document.optimizer],
  ...Object.entries(document.options).map(([name, value]): [string, string] => [name, String(value)]),
  ['batch', `${document.batchSize} samples, ${formatCount(document.steps)} updates in all`],
  ['seed', String(document.seed)],
  ['precision', document.dtype],
  ['device', document.deviceName],
  ['resumed after epoch', String(document.resumed)],
])}
<h2>Parameters</h2>
${parameterTable(context.parameters)}`,
  });
}

const series = (name: string, epochs: readonly EpochEntry[], value: (e: EpochEntry) => number | null): Series => ({
  name,
  points: epochs.map((e) => ({ x: e.epoch, y: value(e) ?? Number.NaN })),
});

function lossChart(epochs: readonly EpochEntry[]): Markup {
  return lineChart({
    title: 'Loss by epoch',
    xTitle: 'epoch',
    yTitle: 'loss',
    series: [series('training loss', epochs, (e) => e.trainLoss), series('test loss', epochs, (e) => e.testLoss)],
    mayBeLogarithmic: true,
  });
}

function accuracyChart(epochs: readonly EpochEntry[]): Markup | string {
  if (epochs.every((e) => e.testAccuracy === null)) return '';
  return html`<h2>Accuracy</h2>
${lineChart({
  title: 'Test accuracy by epoch',
  xTitle: 'epoch',
  yTitle: 'test accuracy in %',
  series: [series('test accuracy', epochs, (e) => (e.testAccuracy === null ? null : 100 * e.testAccuracy))],
})}`;
}

function epochTable(epochs: readonly EpochEntry[]): Markup {
  const rows = epochs.map(
    (e) =>
      html`<tr><td>${e.epoch}</td><td>${significant(e.trainLoss, 5)}</td><td>${significant(e.testLoss, 5)}</td><td>${percent(e.testAccuracy)}</td><td>${significant(e.learningRate, 3)}</td><td>${formatDuration(e.seconds)}</td></tr>\n`,
  );
  return html`<table><thead><tr><th scope="col">epoch</th><th scope="col">training loss</th><th scope="col">test loss</th><th scope="col">test accuracy</th><th scope="col">learning rate</th><th scope="col">time</th></tr></thead><tbody>${rows}</tbody></table>`;
}
