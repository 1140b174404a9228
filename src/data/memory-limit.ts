/** How much data may be unpacked into memory at once. */
import { freemem } from 'node:os';
import { OutOfMemoryError } from '../base/errors.js';
import { formatBytes } from '../base/format.js';

/** 70 % of what is free, or of what a container allows. */
export function defaultMemoryLimit(): number {
  // Missing in some Node 20 releases; 0 or enormous where nothing is constrained.
  const allowed = process.constrainedMemory?.() ?? 0;
  const free = freemem();
  return 0.7 * (allowed > 0 ? Math.min(free, allowed) : free);
}

/** Throws before the allocation that would be too large. */
export function requireMemory(bytes: number, limit: number, what: string, advice: string): void {
  if (bytes <= limit) return;
  throw new OutOfMemoryError(
    `${what} needs ${formatBytes(bytes)} of memory, ${formatBytes(limit)} may be used; ${advice}`,
  );
}
