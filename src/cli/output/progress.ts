/** A line on the terminal that is written over and over: bar, products done, speed, time left. */
import { formatDuration } from '../../base/format.js';
import type { Progress } from '../../solvers/progress.js';

export interface Terminal {
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

/** Not more often: a terminal over a network is slower than a small product. */
const interval = 100;
/** Speed is that of the last seconds: the first product computes what the others share. */
const memory = 5000;

export class ProgressBar {
  readonly #terminal: Terminal;
  readonly #now: () => number;
  #shown = false;
  #last = Number.NEGATIVE_INFINITY;
  #history: { time: number; products: number }[];

  constructor(terminal: Terminal, now: () => number = () => performance.now()) {
    this.#terminal = terminal;
    this.#now = now;
    this.#history = [{ time: now(), products: 0 }];
  }

  update(progress: Progress): void {
    const time = this.#now();
    this.#history.push({ time, products: progress.products });
    while (this.#history.length > 2 && (this.#history[1] as { time: number }).time < time - memory)
      this.#history.shift();
    if (time - this.#last < interval && progress.products < progress.total) return;
    this.#last = time;
    this.#shown = true;
    this.#terminal.write(`\r${this.#line(progress)}\u001b[K`);
  }

  /** A line above the bar. */
  print(line: string): void {
    this.clear();
    this.#terminal.write(`${line}\n`);
  }

  clear(): void {
    if (this.#shown) this.#terminal.write('\r\u001b[K');
    this.#shown = false;
  }

  #line({ stage, products, total, unit = 'products' }: Progress): string {
    const part = total > 0 ? Math.min(1, products / total) : 0;
    const first = this.#history[0] as { time: number; products: number };
    const seconds = ((this.#history.at(-1) as { time: number }).time - first.time) / 1000;
    const speed = seconds > 0 ? (products - first.products) / seconds : 0;
    const left = products < total ? `  ETA ${formatDuration((total - products) / speed)}` : '';
    const rate = speed > 0 ? `  ${speed < 10 ? speed.toFixed(2) : speed.toFixed(0)} ${unit}/s${left}` : '';
    const text = ` ${Math.floor(100 * part)} %  step ${products}/${total}${rate}`;
    // The numbers matter more than the bar.
    const width = Math.max(0, Math.min(24, this.#columns - 1 - stage.length - text.length - 3));
    const bar = '#'.repeat(Math.floor(part * width)).padEnd(width, '.');
    return `${stage} [${bar}]${text}`.slice(0, this.#columns - 1);
  }

  get #columns(): number {
    return this.#terminal.columns ?? 80;
  }
}
