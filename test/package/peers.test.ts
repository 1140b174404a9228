/** Libraries that are optional: loaded from ESM and CommonJS alike, and where they are missing the message says so. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const table = (name: string): string => join(root, 'test/data/fixtures', name);
const run = promisify(execFile);

/** A program that opens the tables and prints what their first sample holds, or why not. */
const program = (load: string): string => `
  ${load}
  const first = async (path) => {
    const data = await hessia.openDataset(path, { targetColumn: 'label' });
    const { inputs } = await data.batch(0, 1);
    await data.dispose();
    return [...[...inputs.values()][0].data];
  };
  const told = ({ name, exitCode, message }) => ({ name, exitCode, message });
  Promise.all(${JSON.stringify([table('scalars.parquet'), table('scalars.arrow')])}.map((p) => first(p).catch(told)))
    .then((r) => console.log(JSON.stringify(r)));`;
/** Module hooks under which both libraries are not installed. */
const resolve = `export async function resolve(name, context, next) {
  if (!['hyparquet', 'apache-arrow'].includes(name)) return next(name, context);
  throw Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' });
}`;
const data = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`;
const hidden = data(`import { register } from 'node:module'; register(${JSON.stringify(data(resolve))});`);

const loads = {
  module: "import * as hessia from 'hessia';",
  commonjs: "const hessia = require('hessia');",
};
test.each(Object.entries(loads))('%s', async (type, load) => {
  const args = [`--input-type=${type}`, '--no-warnings', '-e', program(load)];
  const there = await run(process.execPath, args, { cwd: root });
  const [parquet, arrow] = JSON.parse(there.stdout) as [number[], number[]];
  expect(parquet).toHaveLength(3);
  expect(arrow).toEqual(parquet);
  const missing = await run(process.execPath, ['--import', hidden, ...args], { cwd: root });
  expect(JSON.parse(missing.stdout)).toEqual(
    [
      ['Parquet', 'scalars.parquet', 'hyparquet'],
      ['Arrow', 'scalars.arrow', 'apache-arrow'],
    ].map(([kind, file, name]) => ({
      name: 'MissingEnvironmentError',
      exitCode: 2,
      message: `the ${kind} file ${table(file as string)} needs ${name}: npm install ${name}`,
    })),
  );
});
