/** The frame of every report: one HTML file that needs nothing else and asks the network for nothing. */
import { formatCount } from '../base/format.js';
import { html, type Markup, nothing, raw } from './html.js';
import { chartStyle, colours, pageStyle } from './style.js';

export interface Page {
  readonly title: string;
  readonly version: string;
  readonly body: Markup;
  /** at the foot: when and on what */
  readonly date: Date;
  readonly deviceName: string;
  readonly script?: string;
}

export function renderPage({ title, version, body, date, deviceName, script }: Page): string {
  return `${
    html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="hessia ${version}">
<title>${title}</title>
<style>${raw(colours(':root'))}${raw(chartStyle)}${raw(pageStyle)}</style>
</head>
<body>
<main>
<h1>${title}</h1>
${body}
<footer>hessia ${version} · ${date.toISOString().slice(0, 16).replace('T', ' ')} UTC · ${deviceName}</footer>
</main>
${script === undefined ? nothing : html`<script>${raw(script)}</script>`}
</body>
</html>`.text
  }\n`;
}

export const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

/** names and values side by side, large */
export function factList(facts: readonly (readonly [name: string, value: string])[]): Markup {
  return html`<dl class="facts">\n${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}\n</dl>`;
}

/** names and values below one another */
export function settingList(rows: readonly (readonly [name: string, value: string])[]): Markup {
  return html`<dl class="settings">${rows.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>\n`)}</dl>`;
}

/** The command that made the report, to be pasted into a shell. */
export const commandBlock = (command: string): Markup => html`<pre><code>${command}</code></pre>`;

export interface ListedParameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly count: number;
}

/** What every document says of the run that made it. */
export interface RunEnvironment {
  readonly seed: number;
  readonly device: string;
  readonly deviceName: string;
  readonly dtype: string;
  readonly threads: number;
  readonly version: string;
  readonly warnings: readonly string[];
}

/** What the reports of commands that test show beside their documents. */
export interface TestedContext {
  readonly lossName: string;
  /** as the user gave them */
  readonly data: readonly string[];
  readonly test: readonly string[];
  readonly parameters: readonly ListedParameter[];
  readonly command: string;
  readonly date: Date;
}

export function parameterTable(parameters: readonly ListedParameter[]): Markup {
  const dimension = parameters.reduce((n, p) => n + p.count, 0);
  const share = (part: number): string => (part < 0.001 ? '< 0.1 %' : `${(100 * part).toFixed(1)} %`);
  const rows = parameters.map(
    (p) =>
      html`<tr><td class="text"><code>${p.name}</code></td><td>${p.shape.join(' × ')}</td><td>${formatCount(p.count)}</td><td>${share(p.count / dimension)}</td></tr>\n`,
  );
  return html`<table><thead><tr><th scope="col" class="text">name</th><th scope="col">shape</th><th scope="col">count</th><th scope="col">share</th></tr></thead>
<tbody>${rows}<tr><td><b>total</b></td><td></td><td><b>${formatCount(dimension)}</b></td><td></td></tr></tbody></table>`;
}
