/** Tables of numbers in text: one sample per line, one column may be the target. */
import { InputError } from '../base/errors.js';
import type { NdArray } from '../base/ndarray.js';
import { quoted } from '../base/quote.js';
import { type CsvRecord, csvRecords } from './csv-records.js';
import type { RandomAccessFile } from './random-access.js';

export interface CsvOptions {
  /** A column's name in the header line, or its number from 0 (−1 is the last). */
  readonly targetColumn?: string | number;
  /** Rows to read; default: all. */
  readonly rows?: number;
  /** The file is there for its targets: a column that is the only one needs no naming. */
  readonly targetsOnly?: boolean;
}

export interface CsvTable {
  /** float32 [rows, columns other than the target] */
  readonly values: NdArray<'float32'>;
  /** [rows]; int32 if every value is a whole number, else float32 */
  readonly target: NdArray<'int32' | 'float32'> | undefined;
}

/**
 * Reads comma-separated values (tabs or semicolons where the first line has no comma). The first line is a header
 * if any of its fields is not a number. Throws InputError with line and column for anything else that is not a
 * number, NaN and infinities included, and for lines of unequal length.
 */
export async function readCsv(file: RandomAccessFile, options: CsvOptions = {}): Promise<CsvTable> {
  const delimiter = await findDelimiter(file);
  let table: TableBuilder | undefined;
  for await (const record of csvRecords(file.chunks(), delimiter, file.path)) {
    if (!table) {
      const names = record.fields.map((field) => field.trim());
      const isHeader = names.some((name) => !isNumeric(name));
      const wanted = options.targetColumn ?? (options.targetsOnly && names.length === 1 ? 0 : undefined);
      const target = wanted === undefined ? -1 : findColumn(file.path, wanted, names, isHeader);
      table = new TableBuilder(file.path, names.length, target, isHeader ? names : undefined);
      if (isHeader) continue;
    }
    table.add(record);
    if (table.rows === options.rows) break;
  }
  if (!table || table.rows === 0) throw new InputError(`${file.path} holds no samples`);
  return table.finish();
}

/** The first line decides. */
async function findDelimiter(file: RandomAccessFile): Promise<string> {
  const start = new TextDecoder().decode(await file.read(0, Math.min(file.size, 65536)));
  const [firstLine = ''] = start.trimStart().split(/[\r\n]/, 1);
  return [',', '\t', ';'].find((each) => firstLine.includes(each)) ?? ',';
}

/** The place of the column that is named or numbered so; throws InputError where there is none. */
export function findColumn(path: string, wanted: string | number, names: readonly string[], isHeader: boolean): number {
  const byName = isHeader ? names.indexOf(String(wanted)) : -1;
  if (byName >= 0) {
    if (names.indexOf(String(wanted), byName + 1) >= 0)
      throw new InputError(`${path} has two columns named ${quoted(String(wanted))}`);
    return byName;
  }
  const number = /^-?\d+$/.test(String(wanted)) ? Number(wanted) : NaN;
  const index = number < 0 ? names.length + number : number;
  if (index >= 0 && index < names.length) return index;
  const known = isHeader
    ? `its columns are ${names.slice(0, 20).map(quoted).join(', ')}`
    : `it has no header; columns are numbered 0 to ${names.length - 1}`;
  throw new InputError(`${path} has no column ${quoted(String(wanted))}: ${known}`);
}

const numeric = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const notFinite = /^[+-]?(?:nan|inf|infinity)$/i;

/** Also of lines such as "1,nan,2": these are data, to be refused as such, and no header. */
function isNumeric(field: string): boolean {
  return numeric.test(field) || notFinite.test(field);
}

class TableBuilder {
  rows = 0;
  private values = new Float32Array(1024);
  private targets = new Float64Array(256);

  constructor(
    private readonly path: string,
    private readonly columns: number,
    /** −1: none */
    private readonly target: number,
    private readonly names: readonly string[] | undefined,
  ) {}

  private get features(): number {
    return this.columns - (this.target >= 0 ? 1 : 0);
  }

  add({ fields, line }: CsvRecord): void {
    if (fields.length !== this.columns) {
      throw new InputError(
        `${this.path}, line ${line}: ${fields.length} fields where the first line has ${this.columns}`,
      );
    }
    let at = this.rows * this.features;
    if (at + this.features > this.values.length)
      this.values = grown(this.values, new Float32Array(2 * (at + this.features)));
    if (this.rows === this.targets.length) this.targets = grown(this.targets, new Float64Array(2 * this.rows));
    for (let column = 0; column < this.columns; column++) {
      const value = this.parse(fields[column]!, line, column);
      if (column === this.target) this.targets[this.rows] = value;
      else this.values[at++] = value;
    }
    this.rows++;
  }

  finish(): CsvTable {
    const { rows, features } = this;
    const values = { dtype: 'float32', shape: [rows, features], data: this.values.slice(0, rows * features) } as const;
    if (this.target < 0) return { values, target: undefined };
    const targets = this.targets.subarray(0, rows);
    const whole = targets.every((value) => value === (value | 0));
    const target = whole
      ? ({ dtype: 'int32', shape: [rows], data: Int32Array.from(targets) } as const)
      : ({ dtype: 'float32', shape: [rows], data: Float32Array.from(targets) } as const);
    return { values, target };
  }

  private parse(field: string, line: number, column: number): number {
    const text = field.trim();
    const value = numeric.test(text) ? Number(text) : NaN;
    // What overflows float32 would become an infinity in the array.
    if (Number.isFinite(Math.fround(value))) return value;
    const name = this.names?.[column];
    const where = `${this.path}, line ${line}, column ${name === undefined ? column : quoted(name)}`;
    const why =
      text === ''
        ? 'is empty'
        : isNumeric(text)
          ? `is ${text}, which is not finite`
          : `is ${quoted(text)}, which is not a number`;
    throw new InputError(`${where} ${why}`);
  }
}

function grown<T extends Float32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
