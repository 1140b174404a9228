/** Quantities as people write and read them. */
import { InputError } from './errors.js';

const byteUnits: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
};

/**
 * "2GiB", "1.5 GB", "800M", "1073741824" → bytes, rounded down. kB, MB … count in thousands; KiB, MiB … and bare
 * letters in 1024s; case does not matter. `what` names the option in the InputError.
 */
export function parseBytes(text: string, what = 'size'): number {
  const [, digits, unit] = /^\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*$/i.exec(text) ?? [];
  const scale = unit === undefined ? undefined : byteUnits[unit.toLowerCase()];
  const bytes = digits === undefined || scale === undefined ? NaN : Math.floor(Number(digits) * scale);
  if (!Number.isSafeInteger(bytes) || bytes <= 0) {
    throw new InputError(`${what} "${text}" is not a size; write it like 512MiB or 2GiB`);
  }
  return bytes;
}

/** 2147483648 → "2.0 GiB"; below a KiB whole bytes. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = bytes;
  let unit = 0;
  // 1023.95 would print as "1024.0".
  while (Math.abs(value) >= (unit === 0 ? 1024 : 1023.95) && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? String(value) : value.toFixed(1)} ${units[unit]!}`;
}

/** 1234567 → "1,234,567". */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US', { maximumFractionDigits: 0 });
}

/** Seconds → "850 µs", "12.3 ms", "4.56 s", "2 min 05 s", "3 h 20 min". */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return 'unknown';
  if (seconds < 0.9995e-3) return `${(seconds * 1e6).toFixed(0)} µs`;
  if (seconds < 0.9995) return `${significant(seconds * 1e3)} ms`;
  if (seconds < 59.95) return `${significant(seconds)} s`;
  const whole = Math.round(seconds);
  const two = (value: number): string => String(value).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}

/** Three significant digits without an exponent, for values from 1 to 1000. */
function significant(value: number): string {
  return value < 9.995 ? value.toFixed(2) : value < 99.95 ? value.toFixed(1) : value.toFixed(0);
}
