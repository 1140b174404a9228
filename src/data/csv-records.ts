/** Text with delimiters and quotes → records of fields (RFC 4180, and what spreadsheets make of it). */
import { InputError } from '../base/errors.js';

export interface CsvRecord {
  readonly fields: readonly string[];
  /** of its first character, from 1 */
  readonly line: number;
}

/**
 * Splits a stream of UTF-8 into records. Lines end in \n, \r\n or \r; empty lines are left out. A field that starts
 * with a quote may hold delimiters, line ends and doubled quotes. `file` starts the InputError for a
 * quote that is never closed or is followed by more text.
 */
export async function* csvRecords(
  chunks: AsyncIterable<Uint8Array>,
  delimiter: string,
  file: string,
): AsyncGenerator<CsvRecord> {
  const decoder = new TextDecoder();
  const splitter = new Splitter(delimiter, file);
  for await (const chunk of chunks) yield* splitter.push(decoder.decode(chunk, { stream: true }));
  yield* splitter.push(decoder.decode());
  yield* splitter.finish();
}

/** Where the splitter is: at a field's start, within a bare or quoted field, or after what may be its closing quote. */
type State = 'start' | 'bare' | 'quoted' | 'closing';

class Splitter {
  private state: State = 'start';
  private field = '';
  private fields: string[] = [];
  private line = 1;
  private recordLine = 1;
  private afterReturn = false;

  constructor(
    private readonly delimiter: string,
    private readonly file: string,
  ) {}

  *push(text: string): Generator<CsvRecord> {
    let from = 0; // start of the plain run that has not been added to the field yet
    for (let at = 0; at < text.length; at++) {
      const character = text[at]!;
      if (this.afterReturn && character === '\n') {
        this.afterReturn = false;
        if (this.state === 'quoted') continue; // counted with its \r, kept with the run
        from = at + 1;
        continue;
      }
      this.afterReturn = character === '\r';
      if (this.state === 'quoted') {
        if (character === '"') {
          this.field += text.slice(from, at);
          this.state = 'closing';
          from = at + 1;
        } else if (character === '\n' || character === '\r') this.line++;
        continue;
      }
      if (character === '"' && this.state !== 'bare') {
        if (this.state === 'closing') this.field += '"'; // doubled: one quote, and the field goes on
        this.state = 'quoted';
        from = at + 1;
      } else if (character === this.delimiter || character === '\n' || character === '\r') {
        this.endField(text.slice(from, at));
        from = at + 1;
        if (character === this.delimiter) continue;
        this.line++;
        yield* this.endRecord();
      } else if (this.state === 'closing') {
        this.fail(`line ${this.line}: text after a closing quote`);
      } else {
        this.state = 'bare';
      }
    }
    this.field += text.slice(from);
  }

  *finish(): Generator<CsvRecord> {
    if (this.state === 'quoted') this.fail(`line ${this.recordLine}: a quote is never closed`);
    this.endField('');
    yield* this.endRecord();
  }

  private endField(rest: string): void {
    this.fields.push(this.field + rest);
    this.field = '';
    this.state = 'start';
  }

  private *endRecord(): Generator<CsvRecord> {
    const record = { fields: this.fields, line: this.recordLine };
    this.fields = [];
    this.recordLine = this.line;
    if (record.fields.length > 1 || record.fields[0] !== '') yield record;
  }

  private fail(why: string): never {
    throw new InputError(`${this.file}, ${why}`);
  }
}
