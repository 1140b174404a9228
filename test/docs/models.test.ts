/** docs/models.md is what was measured, and what was measured is right to rounding. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
interface Row {
  readonly network: string;
  readonly exporter: string;
  readonly errors: { readonly forward: number; readonly gradient: number; readonly hessian: number };
}
const { networks } = JSON.parse(readFileSync(join(root, 'bench/results/models.json'), 'utf8')) as { networks: Row[] };

test('docs/models.md is written from the measurements', () => {
  execFileSync(process.execPath, [join(root, 'bench/models/table.mjs'), '--check']);
});
test.each(networks.map((r) => [`${r.network}, ${r.exporter}`, r.errors] as const))('%s', (_, errors) => {
  // beside float32 of some fifty layers; and where a file rounds its constants to float32, through as many
  expect(errors.forward).toBeLessThanOrEqual(50 * 2 ** -24);
  expect(errors.gradient).toBeLessThanOrEqual(50 * 2 ** -24);
  expect(errors.hessian).toBeLessThanOrEqual(50 * 2 ** -24);
});
