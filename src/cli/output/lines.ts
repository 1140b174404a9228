/** Text for people: lines, some of them "name  value" pairs whose values line up, and tables. */

export type Cell = string | number;

export class Lines {
  readonly #lines: string[] = [];

  text(line: string): this {
    this.#lines.push(line);
    return this;
  }

  /** Names on the left, values lined up. */
  pairs(pairs: readonly (readonly [string, Cell])[]): this {
    const width = Math.max(0, ...pairs.map(([name]) => display(name)));
    for (const [name, value] of pairs) this.#lines.push(`  ${pad(name, width)}  ${value}`.trimEnd());
    return this;
  }

  /** The first `left` columns to the left, the others (numbers) to the right. */
  table(header: readonly string[], rows: readonly (readonly Cell[])[], left = 1): this {
    const all = [header, ...rows.map((row) => row.map(String))];
    const widths = header.map((_, i) => Math.max(...all.map((row) => display(row[i] ?? ''))));
    for (const row of all) {
      const cells = row.map((cell, i) => (i < left ? pad(cell, widths[i] ?? 0) : pad(cell, -(widths[i] ?? 0))));
      this.#lines.push(`  ${cells.join('  ')}`.trimEnd());
    }
    return this;
  }

  notes(notes: readonly string[]): this {
    for (const note of notes) this.#lines.push(`note: ${note}`);
    return this;
  }

  toString(): string {
    return this.#lines.map((line) => `${line}\n`).join('');
  }
}

/** Columns a text takes on a terminal, but for wide characters, which we do not print. */
const display = (text: string): number => [...text].length;

/** To `width` columns; negative: aligned to the right. */
function pad(text: string, width: number): string {
  const blanks = ' '.repeat(Math.max(0, Math.abs(width) - display(text)));
  return width < 0 ? blanks + text : text + blanks;
}
