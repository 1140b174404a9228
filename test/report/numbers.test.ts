import { describe, expect, test } from 'vitest';
import { eigenvalueAxis, logAxis } from '../../src/report/axis.js';
import { significant, withError } from '../../src/report/numbers.js';
import { smooth, thin } from '../../src/report/path.js';
import { linearTicks, logTicks } from '../../src/report/ticks.js';

test.for([
  [0, '0'],
  [1, '1.000'],
  [-12.345678, '−12.35'],
  [0.000123456, '0.0001235'],
  [0.0000123456, '1.235·10⁻⁵'],
  [123456, '123456'],
  [1234567, '1.235·10⁶'],
  [9.99996, '10.00'],
  [Number.NaN, '–'],
  [null, '–'],
  [Number.NEGATIVE_INFINITY, '−∞'],
  [5e-324, '4.941·10⁻³²⁴'],
] as const)('%s is %s', ([value, text]) => expect(significant(value)).toBe(text));

test.for([
  [12.3456, 0.0123, '12.346 ± 0.012'],
  [1234.5, 67, '1235 ± 67'],
  [98765, 4321, '98800 ± 4300'],
  [-0.5, 0.25, '−0.50 ± 0.25'],
  [3, null, '3.000'],
  [3, 0, '3.000'],
  [1.5e9, 2e7, '1.500·10⁹ ± 2.0·10⁷'],
] as const)('%s with error %s is %s', ([value, error, text]) => expect(withError(value, error)).toBe(text));

describe('ticks', () => {
  test('are round, and 0 is 0', () => {
    expect(linearTicks(-2.1, 2.1, 5).map((t) => t.label)).toEqual(['−2', '−1', '0', '1', '2']);
    expect(linearTicks(0, 0.07, 4).map((t) => t.label)).toEqual(
      ['0.00', '0.02', '0.04', '0.06'].map((l) => (l === '0.00' ? '0' : l)),
    );
    expect(linearTicks(-3e-9, 3e-9, 3).map((t) => t.label)).toEqual(['−2·10⁻⁹', '0', '2·10⁻⁹']);
  });
  test('of a long logarithmic axis skip labels', () => {
    const ticks = logTicks(1e-20, 1, 8);
    expect(ticks).toHaveLength(21);
    expect(ticks.filter((t) => t.label !== '').length).toBeLessThanOrEqual(8);
  });
});

test('axes rise, and keep what lies on them between their ends', () => {
  const axis = eigenvalueAxis({ low: -3, high: 500 }, { low: -0.1, high: 0.2 }, 60, 900);
  const values = [-3, -0.1, 0, 1e-3, 0.2, 5, 499, 500];
  const pixels = values.map(axis.at);
  expect(pixels).toEqual([...pixels].sort((a, b) => a - b));
  expect(pixels[0]).toBeGreaterThan(60);
  expect(pixels.at(-1)).toBeLessThan(900);
  // The bulk is seen, the ticks stay on the axis.
  expect(axis.at(0.2) - axis.at(-0.1)).toBeGreaterThan(50);
  for (const t of axis.ticks) expect(t.value >= axis.low && t.value <= axis.high).toBe(true);
  const log = logAxis(1e-6, 10, 350, 30, 8);
  expect([log.at(1e-6), log.at(10), log.at(0), log.at(1e-9)]).toEqual([350, 30, 358, 358]);
});

describe('paths', () => {
  test('thinning keeps ends and peaks', () => {
    const points = Array.from({ length: 10_000 }, (_, i) => ({ x: i / 100, y: i === 5003 ? 100 : Math.sin(i) }));
    const kept = thin(points);
    expect(kept.length).toBeLessThanOrEqual(4 * 201);
    expect(kept).toContain(points[5003]);
    expect([kept[0], kept.at(-1)]).toEqual([points[0], points.at(-1)]);
  });
  test('smoothing does not overshoot', () => {
    const path = smooth([
      { x: 0, y: 0 },
      { x: 10, y: 0 },
      { x: 20, y: 50 },
      { x: 30, y: 50 },
      { x: 31, y: 20 },
    ]);
    const heights = [...path.matchAll(/-?[\d.]+ (-?[\d.]+)/g)].map((m) => Number(m[1]));
    expect(Math.min(...heights)).toBe(0);
    expect(Math.max(...heights)).toBe(50);
    expect(path).toMatch(/^M0 0C.*L31 20$/);
  });
});
