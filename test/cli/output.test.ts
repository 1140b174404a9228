/** Text, JSON, progress and shell words. */
import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { toJson } from '../../src/cli/output/json.js';
import { Lines } from '../../src/cli/output/lines.js';
import { ProgressBar } from '../../src/cli/output/progress.js';
import { commandLine } from '../../src/cli/output/shell.js';

test('JSON reads back; lists of numbers take one line; what JSON lacks is null or left out', () => {
  const value = { a: [1, 2.5, -3e-300], b: { c: [], d: [{ e: 'x\n"\u2028' }] }, f: null, g: true, h: {} };
  expect(JSON.parse(toJson(value))).toEqual(value);
  expect(toJson(value)).toContain('"a": [1, 2.5, -3e-300]');
  const odd = {
    nan: Number.NaN,
    list: Float64Array.of(1, Number.POSITIVE_INFINITY),
    map: new Map([['k', 1]]),
    none: undefined,
  };
  expect(JSON.parse(toJson(odd))).toEqual({ nan: null, list: [1, null], map: { k: 1 } });
});

test('columns line up', () => {
  const text = new Lines()
    .pairs([
      ['a', 1],
      ['long', 'x'],
    ])
    .table(
      ['', 'value'],
      [
        ['λ₁', 5],
        ['b', 12345],
      ],
    )
    .toString();
  expect(text).toBe('  a     1\n  long  x\n      value\n  λ₁      5\n  b   12345\n');
});

describe('progress', () => {
  function shown(columns: number): {
    written: string[];
    step: (seconds: number, products: number) => void;
    bar: ProgressBar;
  } {
    const written: string[] = [];
    let now = 0;
    const bar = new ProgressBar({ columns, write: (text) => written.push(text) }, () => now);
    return {
      written,
      bar,
      step: (seconds, products) => {
        now = seconds * 1000;
        bar.update({ stage: 'Lanczos', products, total: 100 });
      },
    };
  }
  test('tells part, steps, speed and time left', () => {
    const { written, step } = shown(120);
    step(1, 10);
    step(2, 30);
    expect(written.at(-1)).toMatch(/^\r.*Lanczos \[#{7}\.{17}\] 30 % {2}step 30\/100 {2}15 products\/s {2}ETA 4\.67 s/);
  });
  test('stays within the line, and is gone afterwards', () => {
    const { written, step, bar } = shown(30);
    step(1, 10);
    expect((written[0] as string).replace(/^\r|\p{Cc}\[K$/gu, '')).toHaveLength(29);
    bar.clear();
    expect(written.at(-1)).toMatch(/^\r\p{Cc}\[K$/u);
    bar.clear();
    expect(written).toHaveLength(2);
  });
  test('is not written more often than the eye follows', () => {
    const { written, step } = shown(80);
    for (let i = 0; i < 50; i += 1) step(1 + i / 1000, i);
    expect(written).toHaveLength(1);
  });
});

test('a command line survives the shell', () => {
  const words = ['spectrum', "it's <a> model.onnx", '--params', '*.weight', '', '$HOME', 'a"b\\c', '--mean', '0.1,0.2'];
  const line = commandLine(words).replace(/^hessia /, '');
  const { stdout } = spawnSync('sh', ['-c', `for word in ${line}; do printf '%s\\0' "$word"; done`], {
    encoding: 'utf8',
  });
  expect(stdout.split('\0').slice(0, -1)).toEqual(words);
});
