import { describe, expect, test } from 'vitest';
import {
  ComputationError,
  fileError,
  fromNative,
  HessiaError,
  InputError,
  InternalError,
  InterruptedError,
  MissingEnvironmentError,
  OutOfMemoryError,
  ShapeError,
  UnsupportedError,
} from '../../src/base/errors.js';

test.each([
  [InputError, 'INPUT', 2],
  [ShapeError, 'INPUT', 2],
  [UnsupportedError, 'UNSUPPORTED', 2],
  [MissingEnvironmentError, 'ENVIRONMENT', 2],
  [ComputationError, 'COMPUTATION', 1],
  [OutOfMemoryError, 'OUT_OF_MEMORY', 1],
  [InternalError, 'INTERNAL', 1],
  [InterruptedError, 'ABORTED', 130],
] as const)('%o', (Kind, code, exitCode) => {
  const error = new Kind('what\n  and where');
  expect(error).toBeInstanceOf(HessiaError);
  expect(error).toMatchObject({ code, exitCode, name: Kind.name, message: 'what and where' });
});

describe('native errors', () => {
  test.each([
    ['OUT_OF_MEMORY', OutOfMemoryError],
    ['ABORTED', InterruptedError],
    ['INVALID_INPUT', InputError],
    ['INVALID_ARGUMENT', InternalError],
    ['INTERNAL', InternalError],
    ['NATIVE_MISSING', MissingEnvironmentError],
    ['SOMETHING_NEW', InternalError],
    [undefined, InternalError],
  ])('%s', (code, Kind) => {
    const native = Object.assign(new Error('message'), code === undefined ? {} : { code });
    const error = fromNative(native);
    expect(error).toBeInstanceOf(Kind);
    expect(error).toMatchObject({ message: 'message', cause: native });
  });

  test('ours pass unchanged; anything else has a message', () => {
    const ours = new InputError('x');
    expect(fromNative(ours)).toBe(ours);
    expect(fromNative('text')).toMatchObject({ code: 'INTERNAL', message: 'text' });
    expect(fromNative(null).message).toBe('null');
  });
});

test('file errors say what was tried, where and why', () => {
  const missing = Object.assign(new Error("ENOENT: no such file or directory, open 'a'"), { code: 'ENOENT' });
  expect(fileError('read', 'a', missing)).toMatchObject({
    code: 'INPUT',
    message: 'cannot read a: no such file or folder',
  });
  expect(fileError('read', 'a', new Error('odd')).message).toBe('cannot read a: odd');
});
