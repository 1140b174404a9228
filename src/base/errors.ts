/**
 * Every error this package throws on purpose. A message is one line: what was wrong, where, what to do.
 * `code` is stable and for programs; `exitCode` is what the command line ends with (docs: exit codes).
 */

/** What kind of failure it was; the command line ends with 2, 1 or 130 accordingly. */
export type ErrorCode =
  | 'INPUT'
  | 'UNSUPPORTED'
  | 'ENVIRONMENT' // the caller, a file or the machine is at fault: exit 2
  | 'COMPUTATION'
  | 'OUT_OF_MEMORY'
  | 'INTERNAL' // the computation failed: exit 1
  | 'ABORTED'; // interrupted: exit 130

const exitCodes: Record<ErrorCode, 1 | 2 | 130> = {
  INPUT: 2,
  UNSUPPORTED: 2,
  ENVIRONMENT: 2,
  COMPUTATION: 1,
  OUT_OF_MEMORY: 1,
  INTERNAL: 1,
  ABORTED: 130,
};

/** Base of every error thrown on purpose: `instanceof HessiaError`, then `code`. */
export abstract class HessiaError extends Error {
  /** stable, for programs */
  readonly code: ErrorCode;

  /** `message` is folded to one line, because stderr shows exactly one. */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(oneLine(message), options);
    this.code = code;
    this.name = new.target.name;
  }

  /** what the command line ends with */
  get exitCode(): 1 | 2 | 130 {
    return exitCodes[this.code];
  }
}

/** A file, option, argument or data value is wrong, including NaN that was already in weights or data. */
export class InputError extends HessiaError {
  constructor(message: string, options?: ErrorOptions) {
    super('INPUT', message, options);
  }
}

/** Shapes that do not fit together. */
export class ShapeError extends InputError {}

/** The request makes sense, but this package cannot do it: an operator, dtype or mode it does not have. */
export class UnsupportedError extends HessiaError {
  constructor(message: string, options?: ErrorOptions) {
    super('UNSUPPORTED', message, options);
  }
}

/** The machine lacks something: the native core, a GPU, a library. */
export class MissingEnvironmentError extends HessiaError {
  constructor(message: string, options?: ErrorOptions) {
    super('ENVIRONMENT', message, options);
  }
}

/** The numbers went wrong on the way: NaN produced, a factorisation broke down. */
export class ComputationError extends HessiaError {
  constructor(message: string, options?: ErrorOptions) {
    super('COMPUTATION', message, options);
  }
}

/** Memory was refused by the machine, or the stated budget is too small for one product. */
export class OutOfMemoryError extends HessiaError {
  /** bytes that would have been enough, where they are known */
  readonly needed: number | undefined;

  constructor(message: string, options?: ErrorOptions & { readonly needed?: number }) {
    super('OUT_OF_MEMORY', message, options);
    this.needed = options?.needed;
  }
}

/** Stopped by an AbortSignal or Ctrl-C. */
export class InterruptedError extends HessiaError {
  constructor(message = 'interrupted', options?: ErrorOptions) {
    super('ABORTED', message, options);
  }
}

/** Throws InterruptedError once the signal has been aborted. */
export function checkInterrupted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new InterruptedError('interrupted', { cause: signal.reason });
}

/** A fault of this package. Please report it. */
export class InternalError extends HessiaError {
  constructor(message: string, options?: ErrorOptions) {
    super('INTERNAL', message, options);
  }
}

/**
 * The native boundary's errors (plain Errors that carry a string `code`, see device/native.ts) as ours.
 * A HessiaError passes unchanged, so calling this twice does no harm. Anything unknown is an InternalError;
 * the original is always kept as `cause`.
 */
export function fromNative(error: unknown): HessiaError {
  if (error instanceof HessiaError) return error;
  const message = messageOf(error);
  const options = { cause: error };
  switch (codeOf(error)) {
    case 'OUT_OF_MEMORY':
      return new OutOfMemoryError(message, options);
    case 'ABORTED':
      return new InterruptedError(message, options);
    case 'INVALID_INPUT':
      return new InputError(message, options);
    case 'UNSUPPORTED':
      return new UnsupportedError(message, options);
    case 'NATIVE_MISSING':
    case 'ENVIRONMENT':
      return new MissingEnvironmentError(message, options);
    default: // INVALID_ARGUMENT too: only our own code talks to the native core, so a bad argument is our fault
      return new InternalError(message, options);
  }
}

/** The `code` of a thrown value, such as 'ENOENT', or undefined. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** The message of anything that can be thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Node's file errors in words, naming the path once. `action` is what was tried: 'read', 'write'. */
export function fileError(action: string, path: string, error: unknown): HessiaError {
  if (error instanceof HessiaError) return error;
  const code = codeOf(error);
  const reason = (code !== undefined && fileReasons[code]) || messageOf(error);
  return new InputError(`cannot ${action} ${path}: ${reason}`, { cause: error });
}

const fileReasons: Record<string, string> = {
  ENOENT: 'no such file or folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of the path is not a folder',
  ENOSPC: 'no space left on the device',
  EDQUOT: 'disk quota exceeded',
  ENAMETOOLONG: 'the name is too long',
  EMFILE: 'too many open files',
  EBADF: 'it has been closed',
};

function oneLine(message: string): string {
  return message.replace(/\s*[\r\n]+\s*/g, ' ').trim();
}
