/** Option arguments → values. What cannot be meant is refused with the option's name in the message. */
import { InvalidArgumentError } from 'commander';
import { messageOf } from '../../base/errors.js';
import { parseBytes } from '../../base/format.js';

type Parser<T> = (text: string) => T;

export function wholeNumber(least: number, most = Number.MAX_SAFE_INTEGER): Parser<number> {
  return (text) => {
    const value = /^[+-]?\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
    throw new InvalidArgumentError(`It must be a whole number ${range}.`);
  };
}

export function nonNegativeNumber(): Parser<number> {
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (value >= 0 && Number.isFinite(value)) return value;
    throw new InvalidArgumentError('It must be a number of at least 0.');
  };
}

export function positiveNumber(): Parser<number> {
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (value > 0 && Number.isFinite(value)) return value;
    throw new InvalidArgumentError('It must be a positive number.');
  };
}

/** "0.5" or "0.485,0.456,0.406" */
export function numbers(): Parser<number[]> {
  return (text) => {
    const values = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
    if (values.every(Number.isFinite)) return values;
    throw new InvalidArgumentError('It must be a number, or one per channel with commas between.');
  };
}

/** "1,8" → [1, 8], ascending, each once */
export function wholeNumbers(least: number, most: number): Parser<number[]> {
  const one = wholeNumber(least, most);
  return (text) => [...new Set(text.split(',').map(one))].sort((a, b) => a - b);
}

export function bytes(): Parser<number> {
  return (text) => {
    try {
      return parseBytes(text, 'memory');
    } catch (error) {
      throw new InvalidArgumentError(`${messageOf(error)}.`);
    }
  };
}

/** An option that may be given again: its arguments in order. */
export function repeated(text: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), text];
}

/** "sr=16000", which may be given again: all names with their numbers. */
export function assigned(text: string, before: Readonly<Record<string, number>> | undefined): Record<string, number> {
  const at = text.lastIndexOf('='),
    number = text.slice(at + 1).trim(),
    value = number === '' ? Number.NaN : Number(number);
  if (at < 1 || !Number.isFinite(value)) throw new InvalidArgumentError('It must be NAME=NUMBER.');
  return { ...before, [text.slice(0, at)]: value };
}
