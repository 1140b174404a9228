/** docs/onnx-support.md is what the tables say; after changing them: npx vitest run test/onnx/support.test.ts -u */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { supportedOperators } from '../../src/onnx/index.js';
import { refusedOperators } from '../../src/onnx/refused.js';
import { limitsOf } from '../../src/onnx/table.js';

/** the opsets up to 24 in which each standard operator changed, as the onnx package lists them */
const versions: Record<string, number[]> = JSON.parse(
  readFileSync(join(import.meta.dirname, 'fixtures/schemas.json'), 'utf8'),
);
const missing = Object.keys(versions).filter((name) => !supportedOperators.includes(name));

/** of other domains, or of onnxruntime's own under a standard name */
const others = supportedOperators.filter((name) => !(name in versions));
const standard = supportedOperators.filter((name) => name in versions);

const row = (...cells: string[]): string => `| ${cells.join(' | ')} |`;
const opsets = (name: string): string => (versions[name] ?? []).join(', ');

function page(): string {
  return [
    '# Operators',
    '',
    'Written by `test/onnx/support.test.ts` from the tables in `src/onnx`; do not edit.',
    '',
    'Shapes, axes, sizes and other numbers that decide the shape of a result must be known when a model is imported.',
    'They are wherever they follow from constants and from the shapes of the inputs: arithmetic on them is carried out at',
    'import. Everything else may depend on data. Integers reach the computation with 32 bits and do not wrap.',
    '',
    `## ${standard.length} operators are imported`,
    '',
    '"Versions" are the opsets up to 24 in which the operator changed; each is read by its own meaning.',
    '',
    row('Operator', 'Versions', 'Limits'),
    row('---', '---', '---'),
    ...standard.map((name) => row(name, opsets(name), limitsOf(name) ?? '')),
    '',
    `## ${others.length} operators outside the standard are, too`,
    '',
    "onnxruntime's optimiser fuses standard operators into these, and scikit-learn's converter writes some of its own.",
    '',
    row('Operator', 'Limits'),
    row('---', '---'),
    ...others.map((name) => row(name, limitsOf(name) ?? '')),
    '',
    `## ${missing.length} standard operators are not`,
    '',
    row('Operator', 'Versions', 'Why'),
    row('---', '---', '---'),
    ...missing.map((name) => row(name, opsets(name), refusedOperators[name] ?? 'not written yet')),
    '',
  ].join('\n');
}

test('docs/onnx-support.md is up to date', async () => {
  await expect(page()).toMatchFileSnapshot('../../docs/onnx-support.md');
});
test('every operator is one of the standard or of a domain we mean', () => {
  const meant = /^(com\.microsoft|ai\.onnx\.ml)\.\w+$|^SimplifiedLayerNormalization$/;
  expect(others.filter((name) => !meant.test(name))).toEqual([]);
  expect(Object.keys(refusedOperators).filter((name) => !missing.includes(name))).toEqual([]);
});
