import { spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { ensureWritable, writeFileAtomic } from '../../src/base/atomic-write.js';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hessia-write-'));
  path = join(folder, 'out.txt');
});

test('text, bytes and pieces', async () => {
  await writeFileAtomic(path, 'text é');
  expect(await readFile(path, 'utf8')).toBe('text é');
  await writeFileAtomic(path, Uint8Array.of(1, 2));
  expect([...(await readFile(path))]).toEqual([1, 2]);
  await writeFileAtomic(path, async (sink) => {
    for (const part of ['a', 'b', 'c']) await sink.write(Buffer.from(part));
  });
  expect(await readFile(path, 'utf8')).toBe('abc');
  expect(await readdir(folder)).toEqual(['out.txt']);
});

test('the old file stays until the new one is complete, and if it never is', async () => {
  await writeFile(path, 'old');
  const writing = writeFileAtomic(path, async (sink) => {
    await sink.write(Buffer.from('half'));
    expect(await readFile(path, 'utf8')).toBe('old');
    throw new Error('stopped');
  });
  await expect(writing).rejects.toThrow('stopped');
  expect(await readFile(path, 'utf8')).toBe('old');
  expect(await readdir(folder)).toEqual(['out.txt']);
});

test('permissions and links survive', async () => {
  await writeFile(path, 'old');
  await chmod(path, 0o640);
  const link = join(folder, 'link');
  await symlink(path, link);
  await writeFileAtomic(link, 'new');
  expect(await readFile(path, 'utf8')).toBe('new');
  expect((await stat(path)).mode & 0o777).toBe(0o640);
  expect((await readdir(folder)).sort()).toEqual(['link', 'out.txt']);
});

test('devices are written to, not replaced', async () => {
  await writeFileAtomic('/dev/null', 'nothing');
  expect((await stat('/dev/null')).isCharacterDevice()).toBe(true);
});

describe('paths that cannot be written', () => {
  test.each([
    ['no folder', () => join(folder, 'none', 'out.txt'), 'does not exist'],
    ['a folder', () => folder, 'it is a folder'],
    ['below a file', () => join(path, 'x'), 'not a folder'],
    ['too long a name', () => join(folder, 'x'.repeat(300)), 'too long'],
  ])('%s', async (_, where, why) => {
    await writeFile(path, '');
    for (const attempt of [() => writeFileAtomic(where(), 'x'), () => ensureWritable(where())]) {
      await expect(attempt()).rejects.toMatchObject({
        code: 'INPUT',
        message: expect.stringContaining(`cannot write ${where()}`),
      });
      await expect(attempt()).rejects.toThrow(why);
    }
  });

  test('a writable path is found writable without being touched', async () => {
    await mkdir(join(folder, 'sub'));
    await ensureWritable(join(folder, 'sub', 'new.npz'));
    expect(await readdir(join(folder, 'sub'))).toEqual([]);
  });
});

// Only a process that really ends shows whether the half-written file is left behind.
test('process.exit in the middle leaves no temporary file', async () => {
  const program = `
    const { writeFileAtomic } = await import(${JSON.stringify(new URL('../../src/base/atomic-write.ts', import.meta.url).href)});
    await writeFileAtomic(${JSON.stringify(path)}, async (sink) => { await sink.write(Buffer.from('half')); process.exit(130); });`;
  const result = spawnSync(process.execPath, ['--import', loader, '--input-type=module', '-e', program], {
    encoding: 'utf8',
  });
  expect(result.stderr).toBe('');
  expect(result.status).toBe(130);
  expect(await readdir(folder)).toEqual([]);
});

/** Node 20 runs no TypeScript: strips the types of what the child imports, with the project's own compiler. */
const loader = `data:text/javascript,${encodeURIComponent(`
  import { register } from 'node:module';
  register('data:text/javascript,' + encodeURIComponent(\`
    import { readFileSync } from 'node:fs';
    import { createRequire } from 'node:module';
    const ts = createRequire(${JSON.stringify(import.meta.url)})('typescript');
    export async function resolve(specifier, context, next) {
      return next(specifier.startsWith('.') ? specifier.replace(/[.]js$/, '.ts') : specifier, context);
    }
    export async function load(url, context, next) {
      if (!url.endsWith('.ts')) return next(url, context);
      const text = readFileSync(new URL(url), 'utf8');
      const source = ts.transpileModule(text, { compilerOptions: { module: 'esnext', target: 'es2022' } }).outputText;
      return { format: 'module', source, shortCircuit: true };
    }\`));
`)}`;
