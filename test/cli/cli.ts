/** Runs the built command line as users do: as a process of its own. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { readNpz, writeNpz } from '../../src/data/index.js';

export const root = new URL('../..', import.meta.url).pathname;
export const main = join(root, 'dist/esm/cli/main.js');
if (!existsSync(main)) throw new Error('the command line is not built: npm run build');

export const example = (name: string): string => join(root, 'examples', name);
export const fixture = (name: string): string => join(root, 'test/fixtures', name);
export const golden = (name: string): string => join(root, 'test/golden', name);

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface HowToRun {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** sent after so many milliseconds */
  readonly interrupt?: { readonly signal: NodeJS.Signals; readonly after: number };
  /** milliseconds between the signal and the end are noted here */
  readonly timing?: { toEnd?: number };
}

export function hessia(args: readonly string[], how: HowToRun = {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    // Two threads: test files run side by side on few cores, and threads that wait for each other waste them.
    const env = { ...process.env, OMP_WAIT_POLICY: 'passive', ...how.env };
    const child = spawn(process.execPath, [main, ...args], {
      cwd: how.cwd ?? root,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    let sent = 0;
    if (how.interrupt) {
      setTimeout(() => {
        sent = performance.now();
        child.kill(how.interrupt?.signal);
      }, how.interrupt.after);
    }
    child.on('error', reject);
    child.on('exit', () => {
      if (how.timing) how.timing.toEnd = performance.now() - sent;
    });
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

/** A folder for one test file's output. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hessia-cli-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The data in a golden file of a tiny network, as a data file of their own. */
export async function tinyData(name: string, folder: string): Promise<string> {
  const path = join(folder, `${name}-data.npz`);
  const stored = await readNpz(golden(`${name}.npz`));
  await writeNpz(
    path,
    [...stored].filter(([key]) => ['x', 'tokens', 'target'].includes(key)),
  );
  return path;
}
