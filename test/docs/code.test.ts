/** Every TypeScript block of README and docs, and every example, runs. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'hessia-docs-'));
beforeAll(() => {
  vi.spyOn(console, 'log').mockImplementation(() => undefined);
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const pages = ['README.md', 'examples/README.md', ...markdown('docs')];
function markdown(under: string): string[] {
  return readdirSync(under, { recursive: true, encoding: 'utf8' })
    .filter((f) => f.endsWith('.md'))
    .map((f) => join(under, f))
    .sort();
}
/** pages whose blocks continue a program that they do not repeat */
const fragments = new Set([join('docs', 'how-to', 'mfac.md')]);
/** the code of a page's ts blocks, with the line each starts on */
function blocks(page: string): { at: string; code: string }[] {
  const text = readFileSync(page, 'utf8');
  return [...text.matchAll(/^```(?:ts|typescript)[^\n]*\n([\s\S]*?)^```/gm)].map((m) => ({
    at: `${page}:${text.slice(0, m.index).split('\n').length}`,
    code: m[1] as string,
  }));
}
const examples = readdirSync('examples')
  .filter((f) => f.endsWith('.ts'))
  .sort();
const programs = [
  ...pages.filter((p) => !fragments.has(p)).flatMap(blocks),
  ...examples.map((f) => ({ at: `examples/${f}`, code: readFileSync(join('examples', f), 'utf8') })),
];

/** files that a page links to */
const links = (page: string): string[] =>
  [...readFileSync(page, 'utf8').matchAll(/\]\(([^):#]+)(?:#[^)]*)?\)/g)].map((m) =>
    join(dirname(page), m[1] as string),
  );
describe('links between pages', () => {
  test.each(pages)('of %s lead somewhere', (page) => {
    expect(links(page).filter((to) => !existsSync(to))).toEqual([]);
  });
  test('lead from the index to every page, and from README to the index', () => {
    const index = join('docs', 'README.md');
    expect(links('README.md')).toContain(index);
    expect(markdown('docs').filter((page) => page !== index && !links(index).includes(page))).toEqual([]);
  });
});

describe('code in the documentation', () => {
  test('is found', () => {
    expect(pages.flatMap(blocks).length).toBeGreaterThanOrEqual(5);
    expect(examples.length).toBeGreaterThanOrEqual(4);
  });
  test.each(programs.map((p, i) => [p.at, p.code, i] as const))('%s', async (at, code, i) => {
    expect(code).toContain("from 'hessia'");
    const file = join(folder, `${i}.ts`);
    // an export, so that a block without one is a module too
    writeFileSync(file, `${code}\nexport const ran = ${JSON.stringify(at)};\n`);
    const done = (await import(/* @vite-ignore */ file)) as { ran: string };
    expect(done.ran).toBe(at);
  });
});
