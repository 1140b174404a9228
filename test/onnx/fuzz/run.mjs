/**
 * Damages real ONNX files and reads them: node test/onnx/fuzz/run.mjs [--count 5000] [--from 0] [--seed 1]
 * [--seconds 60] [--log FILE]
 *
 * Every file must be read or refused with a HessiaError of one line, within 5 s and 10 times its size plus 256 MiB.
 * It runs in a process of its own, which may die of it. Prints each fault with the number that repeats it (--from N
 * --count 1) and ends with 1 if there was one. The time limit ends a run early, and says how far it came.
 */
import { spawn } from 'node:child_process';
import { appendFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '5000' },
    from: { type: 'string', default: '0' },
    seed: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '0' },
    log: { type: 'string' },
  },
});
const [seed, first, count, seconds] = [values.seed, values.from, values.count, values.seconds].map(Number);
const child = join(dirname(fileURLToPath(import.meta.url)), 'child.mjs');
const deadline = seconds > 0 ? Date.now() + 1000 * seconds : Infinity;
/** a process gets this many files, then a fresh one takes over */
const share = 50_000;
/** no sign of life for this long is a hang: 5 s of work, and room for a machine on which others work, too */
const patience = { running: 120_000, atTheEnd: 20_000 };

let faults = 0;
function report(fault) {
  faults++;
  const line = JSON.stringify(fault);
  console.log(line);
  if (values.log) appendFileSync(values.log, `${line}\n`);
}

/** runs files from … to; resolves to the number after the last one that was read */
function series(from, to) {
  return new Promise((resolve) => {
    const flags = ['--expose-gc', '--max-old-space-size=256', child];
    const run = spawn(process.execPath, [...flags, seed, from, to].map(String), {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    });
    let at = from - 1,
      done = false,
      heard = Date.now(),
      why = '',
      out = '',
      errors = '';
    run.stdout.on('data', (data) => {
      out += data;
      const lines = out.split('\n');
      out = lines.pop();
      for (const line of lines) report(JSON.parse(line));
    });
    run.stderr.on('data', (data) => {
      errors = (errors + data).slice(-2000);
    });
    let rest = '';
    run.stdio[3].on('data', (data) => {
      heard = Date.now();
      const lines = (rest + data).split('\n');
      rest = lines.pop();
      const last = lines.at(-1);
      if (last === 'done') done = true;
      else if (last !== undefined) at = Number(last);
    });
    const watch = setInterval(() => {
      const silence = Date.now() - heard,
        over = Date.now() > deadline;
      if (silence > (over ? patience.atTheEnd : patience.running)) why = 'hangs';
      else if (over) why = 'time';
      if (why) run.kill('SIGKILL');
    }, 500);
    run.on('close', (status, signal) => {
      clearInterval(watch);
      if (done) return resolve(to);
      if (why === 'time') return resolve(Math.max(from, at));
      report({ index: at, fault: why || `the process died (${status ?? signal})`, errors });
      resolve(at + 1);
    });
  });
}

let at = first;
const to = first + count;
while (at < to && Date.now() < deadline) {
  at = await series(at, Math.min(to, at + share));
  if (values.log) writeFileSync(`${values.log}.count`, `seed ${seed}: ${at - first} of ${count}, ${faults} faults\n`);
}
console.log(`fuzz: ${at - first} damaged files, ${faults} faults (seed ${seed}, from ${first})`);
process.exit(faults === 0 ? 0 : 1);
