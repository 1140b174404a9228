#!/usr/bin/env node
/** The program: signals, streams and the end of the process; everything else is in run.ts. */
import { codeOf, messageOf } from '../base/errors.js';
import { failureOf } from './failure.js';
import { run, type Streams } from './run.js';

const abort = new AbortController();
/** After Ctrl-C, how long running work may take to stop and clean up before the process ends regardless. */
const grace = 600;

function write(stream: NodeJS.WriteStream, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    if (text === '') resolve();
    else stream.write(text, (error) => (error ? reject(error) : resolve()));
  });
}

const streams: Streams = {
  print: async (text) => {
    try {
      await write(process.stdout, text);
    } catch (error) {
      if (codeOf(error) === 'EPIPE') process.exit(0); // `hessia … | head` has read enough
      await write(process.stderr, `hessia: cannot write to standard output: ${messageOf(error)}\n`);
      process.exit(2);
    }
  },
  printError: (text) => write(process.stderr, text).catch(() => undefined),
  terminal: process.stderr.isTTY && process.env.TERM !== 'dumb' ? process.stderr : undefined,
};
// Without a listener a failed write ends the process with a stack trace; `print` reports it.
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);

function interrupt(): void {
  if (abort.signal.aborted) process.exit(130);
  abort.abort();
  setTimeout(() => void end(130, 'interrupted'), grace).unref();
}
process.on('SIGINT', interrupt);
process.on('SIGTERM', interrupt);

async function end(exitCode: number, message: string): Promise<never> {
  await streams.printError(`${streams.terminal ? '\r\u001b[K' : ''}hessia: ${message}\n`);
  process.exit(exitCode);
}
for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (error: unknown) => {
    const { exitCode, message } = failureOf(error, abort.signal.aborted);
    void end(exitCode, message);
  });
}

// Not only the exit code: threads of the native core would keep the process.
process.exit(await run(process.argv.slice(2), streams, abort.signal));
