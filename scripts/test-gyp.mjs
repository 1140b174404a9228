// npm run test:gyp: binding.gyp builds, from the same list of sources, a core that loads and computes. node-gyp owns the
// folder build/ of wherever it runs, so it runs in a copy.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { root } from './setup.mjs';

const copy = mkdtempSync(join(tmpdir(), 'hessia-gyp-'));
try {
  for (const part of ['native', 'binding.gyp', 'package.json'])
    cpSync(join(root, part), join(copy, part), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  const gyp = createRequire(join(root, 'package.json')).resolve('node-gyp/bin/node-gyp.js');
  // Node's own headers, where they were installed with it, so that none are downloaded.
  const prefix = dirname(dirname(process.execPath));
  const headers = existsSync(join(prefix, 'include/node/node_api.h')) ? ['--nodedir', prefix] : [];
  const run = spawnSync(process.execPath, [gyp, 'rebuild', '--jobs', '2', ...headers], {
    cwd: copy,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  if (run.status !== 0) {
    console.error(`${run.stdout}${run.stderr}`.split('\n').slice(-30).join('\n'));
    throw new Error('node-gyp failed');
  }
  const program = `
    const core = require(${JSON.stringify(join(copy, 'build/Release/hessia.node'))});
    const device = core.createCpuDevice({ threads: 1 });
    const a = device.allocate(16);
    device.write(a, 0, Float64Array.of(3, 4));
    const rows = { buffer: a, offset: 0, rows: 1, stride: 2 };
    device.gram('float64', 2, rows, rows).then(([x]) => { console.log(x); device.dispose(); });`;
  const answer = execFileSync(process.execPath, ['-e', program], { encoding: 'utf8' }).trim();
  if (answer !== '25') throw new Error(`the gyp build computes 3² + 4² = ${answer}`);
  console.log('the gyp build loads and computes');
} finally {
  rmSync(copy, { recursive: true, force: true });
}
