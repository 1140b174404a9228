// npm start: sets up whatever is missing (see setup.mjs) and runs the main job on the example network: the spectrum of
// the loss Hessian of a small CNN, with a report. Options may be added: npm start -- --steps 20 --operator gauss-newton
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { root, setup } from './setup.mjs';

setup();
const job = [
  'spectrum',
  'examples/cnn.onnx',
  '--data',
  'examples/fashion-mnist-test.npz',
  '--samples',
  '200',
  '--steps',
  '80',
  '--probes',
  '6',
  '--out',
  'hessia-report',
  ...process.argv.slice(2),
];
const child = spawn(process.execPath, [join(root, 'dist/esm/cli/main.js'), ...job], { cwd: root, stdio: 'inherit' });
// A terminal's Ctrl-C reaches the job by itself; whatever else stops this process must stop the job too.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.on('error', (error) => {
  console.error(`hessia: ${error.message}`);
  process.exit(1);
});
child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
