/** The report: complete, self-contained, well-formed, and safe against names that are markup. */
import { beforeAll, describe, expect, test } from 'vitest';
import { bulk } from '../../src/report/figure.js';
import { type ReportContext, renderReport, type SpectrumDocument, spectrumSvg } from '../../src/report/index.js';
import { fixture, networkEigenvalues } from './fixture.js';

const context: ReportContext = {
  lossName: 'cross-entropy',
  data: ['test.npz'],
  date: new Date(0),
  command: "hessia spectrum 'a <model>.onnx' --data test.npz",
  parameters: [{ name: '<b>&"weight\'</b>', shape: [20, 10], count: 200 }],
};
let network: SpectrumDocument;
let page: string;
beforeAll(async () => {
  network = await fixture({ eigenvalues: networkEigenvalues(200), steps: 40, probes: 4 });
  page = renderReport(network, context);
});

/** Every tag closed in order; HTML's void elements are closed by themselves. Throws where not. */
function mustBalance(markup: string): void {
  const open: string[] = [];
  const body = markup.replace(/<!doctype html>/i, '').replace(/<(style|script)>[\s\S]*?<\/\1>/g, '');
  for (const [whole, end, name, rest] of body.matchAll(/<(\/?)([a-zA-Z][\w:]*)((?:\s+[\w:-]+="[^"<]*")*\s*)\/?>/g)) {
    if (end) {
      const last = open.pop();
      if (last !== name) throw new Error(`</${name}> closes <${last}>`);
    } else if (!whole.endsWith('/>') && !['meta', 'br'].includes(name as string)) open.push(name as string);
    void rest;
  }
  if (open.length > 0) throw new Error(`not closed: ${open.join()}`);
  // What looks like a tag and was not matched above is not well-formed.
  const left = body.replace(/<\/?[a-zA-Z][\w:]*(?:\s+[\w:-]+="[^"<]*")*\s*\/?>/g, '');
  if (/[<>]/.test(left))
    throw new Error(`stray bracket near ${left.slice(Math.max(0, left.search(/[<>]/) - 40)).slice(0, 80)}`);
}

test('holds the numbers, the settings and the command', () => {
  for (const part of [
    '21.30',
    '−0.2500',
    'cross-entropy',
    '2,000',
    '200',
    'hessia 0.1.0',
    'cpu (avx2, 2 threads)',
    '20 × 10',
    '1970-01-01',
  ])
    expect(page).toContain(part);
  expect(page).toContain('hessia spectrum &#39;a &lt;model&gt;.onnx&#39; --data test.npz');
});

test('is well-formed; the picture too', () => {
  expect(() => mustBalance(page)).not.toThrow();
  expect(() => mustBalance(spectrumSvg(network))).not.toThrow();
  expect(() => mustBalance('<p><b></p></b>')).toThrow();
});

test('asks nothing of the network', () => {
  expect(page).not.toMatch(/https?:|\/\/[a-z]|src=|href=|@import|url\((?!#)/i);
  expect(spectrumSvg(network).replace('http://www.w3.org/2000/svg', '')).not.toMatch(
    /https?:|href=|@import|url\((?!#)/i,
  );
});

test('names are shown, not run', async () => {
  const evil = '"><script>alert(1)</script><img onerror=x>\u0000.onnx';
  const model = renderReport(
    { ...network, model: evil, deviceName: evil, warnings: [evil] },
    { ...context, data: [evil], command: evil, lossName: evil },
  );
  expect(model.match(/<script/g)).toHaveLength(1); // our own
  expect(model).not.toMatch(/<img/);
  expect(model).not.toContain('\0');
  expect(page).not.toContain('<b>&');
  expect(page).toContain('&lt;b&gt;&amp;&quot;weight&#39;&lt;/b&gt;');
  expect(spectrumSvg({ ...network, model: evil })).not.toMatch(/<script|<img/);
});

test('no number is left that is none', () => {
  for (const text of [page, spectrumSvg(network)]) expect(text).not.toMatch(/NaN|undefined|Infinity|\[object/);
});

test('has a title and a description for those who cannot see it', () => {
  const svg = spectrumSvg(network);
  expect(svg).toMatch(/role="img" aria-labelledby="chart-title chart-text"/);
  expect(svg).toMatch(/<title id="chart-title">Spectral density of the Hessian of cnn\.onnx<\/title>/);
  expect(svg).toMatch(/<desc id="chart-text">[^<]*21\.30/);
});

describe('the axis', () => {
  const kind = (d: SpectrumDocument): string =>
    JSON.parse(
      spectrumSvg(d)
        .match(/data-axes="([^"]*)"/)?.[1]
        ?.replaceAll('&quot;', '"') ?? '',
    ).kind;
  test('bends where outliers are far from the bulk', () => expect(kind(network)).toBe('symlog'));
  test('is straight where the bulk fills it', async () => {
    const even = await fixture({ eigenvalues: Float64Array.from({ length: 60 }, (_, i) => i), steps: 60, probes: 2 });
    expect(kind(even)).toBe('linear');
  });
  test('the bulk leaves the outliers out', () => {
    const { low, high } = bulk(network);
    expect(low).toBeGreaterThan(-0.5);
    expect(high).toBeLessThan(5);
  });
});

test.for([
  ['a single probe', { probes: 1 }, /at least two/],
  ['all steps', { eigenvalues: networkEigenvalues(30), steps: 30 }, /exact up to rounding/],
  ['one dimension', { eigenvalues: Float64Array.of(2), probes: 2 }, /one|1/],
  ['a zero matrix', { eigenvalues: new Float64Array(5), probes: 3 }, /0/],
  ['huge eigenvalues', { eigenvalues: Float64Array.of(1e120, -1e119, 3e118), probes: 3 }, /10¹²⁰/],
  ['tiny eigenvalues', { eigenvalues: Float64Array.of(1e-9, 2e-9, -3e-10), probes: 3 }, /10⁻⁹/],
] as const)('%s', async ([, options, says]) => {
  const text = renderReport(await fixture(options), context);
  expect(() => mustBalance(text)).not.toThrow();
  expect(text).not.toMatch(/NaN|undefined|Infinity/);
  expect(text).toMatch(says);
});
