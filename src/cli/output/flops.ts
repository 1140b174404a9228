import { significant } from '../../report/numbers.js';

/** Counts and speeds of arithmetic: "26.4 MFLOP". */
export function formatFlops(flops: number): string {
  const units = ['FLOP', 'kFLOP', 'MFLOP', 'GFLOP', 'TFLOP', 'PFLOP'];
  const power = flops >= 1000 ? Math.min(units.length - 1, Math.floor(Math.log10(flops) / 3)) : 0;
  return `${significant(flops / 1000 ** power, 3)} ${units[power]}`;
}
