/** What a command is: it declares itself, and its handler calls the public API and returns what to print. */
import type { Command } from 'commander';
import type { Progress } from '../solvers/progress.js';
import type { Lines } from './output/lines.js';

/** What the handler gets from the process around it. Handlers touch no stream and no signal themselves. */
export interface Context {
  /** aborted by Ctrl-C */
  readonly signal: AbortSignal;
  /** Shows a long computation's progress, where somebody looks. */
  progress(progress: Progress): void;
  /** One line before a long run, where somebody looks. */
  announce(line: string): void;
  /** what the user typed after the program's name */
  readonly argv: readonly string[];
  readonly version: string;
}

/** One document for programs and one text for people: what is printed is the same either way. */
export interface Outcome {
  readonly document: object;
  readonly summary: Lines;
}

/** Options after parsing, as commander collects them. Each command reads them as its own interface. */
export type OptionValues = Record<string, unknown>;

export interface CommandModule {
  readonly name: string;
  /** Adds description, arguments, options and examples. */
  define(command: Command): void;
  run(args: readonly string[], options: OptionValues, context: Context): Promise<Outcome>;
}
