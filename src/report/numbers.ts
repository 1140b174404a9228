/** Numbers as the report and the summaries print them. */

const superscripts: Readonly<Record<string, string>> = {
  '-': '⁻',
  0: '⁰',
  1: '¹',
  2: '²',
  3: '³',
  4: '⁴',
  5: '⁵',
  6: '⁶',
  7: '⁷',
  8: '⁸',
  9: '⁹',
};

/** 10 to a whole power: "10⁻³". */
export function powerOfTen(exponent: number): string {
  return `10${[...String(exponent)].map((c) => superscripts[c] ?? c).join('')}`;
}

/** `digits` significant ones (more where they stand before the point), with a true minus sign: "0.00123", "−45.6", "1.23·10⁻⁷", "–" for what is not a number. */
export function significant(value: number | null, digits = 4): string {
  if (value === null || Number.isNaN(value)) return '–';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞';
  if (value === 0) return '0';
  const [mantissa, exponent] = value.toExponential(digits - 1).split('e') as [string, string];
  const power = Number(exponent);
  const plain =
    power >= -4 && power < Math.max(6, digits)
      ? Number(value.toPrecision(Math.max(digits, power + 1))).toFixed(Math.max(0, digits - 1 - power))
      : `${mantissa}·${powerOfTen(power)}`;
  return plain.replace('-', '−');
}

/** "12.3 ± 0.4" with the error to two digits and the value to the same place. */
export function withError(value: number, error: number | null): string {
  if (error === null || !(error > 0) || !Number.isFinite(error)) return significant(value);
  const place = Math.floor(Math.log10(error)) - 1;
  const wide = Math.abs(value) >= 1e6 || place < -8;
  if (wide) return `${significant(value)} ± ${significant(error, 2)}`;
  const decimals = Math.max(0, -place);
  const round = (x: number): string =>
    decimals > 0 ? x.toFixed(decimals) : String(Math.round(x / 10 ** place) * 10 ** place);
  return `${round(value)} ± ${round(error)}`.replaceAll('-', '−');
}
