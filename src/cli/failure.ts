/** Any error as the one line and the exit code that the command line ends with. */
import { CommanderError } from 'commander';
import { codeOf, fileError, HessiaError, messageOf, OutOfMemoryError } from '../base/errors.js';

export interface Failure {
  readonly exitCode: number;
  /** without the program's name; one line */
  readonly message: string;
}

export function failureOf(error: unknown, aborted: boolean): Failure {
  if (aborted) return { exitCode: 130, message: 'interrupted' };
  const { exitCode, message } = describe(error);
  return { exitCode, message: message.replace(/\s*[\r\n]+\s*/g, ' ').trim() };
}

function describe(error: unknown): Failure {
  if (error instanceof HessiaError) return error;
  if (error instanceof CommanderError)
    return { exitCode: 2, message: `${error.message.replace(/^error: /, '')}; see hessia help` };
  const code = codeOf(error);
  if (code === 'NATIVE_MISSING') return { exitCode: 2, message: messageOf(error) };
  if (code === 'ERR_DLOPEN_FAILED')
    return {
      exitCode: 2,
      message: `the native core cannot be loaded; build it again with "npm run build:native" (${messageOf(error)})`,
    };
  if (error instanceof RangeError && /allocation failed|array length|string length/i.test(error.message)) {
    return new OutOfMemoryError(`out of memory: ${error.message}; use a smaller --batch-size or fewer --probes`);
  }
  if (code !== undefined && isFileError(error)) return fileError('use', error.path, error);
  return { exitCode: 1, message: `internal fault: ${messageOf(error)}; please report it` };
}

/** Node's errors of the file system carry the path. */
function isFileError(error: unknown): error is { path: string } {
  return (
    typeof error === 'object' &&
    error !== null &&
    'syscall' in error &&
    'path' in error &&
    typeof error.path === 'string'
  );
}
