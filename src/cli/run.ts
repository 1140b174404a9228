/** The command line as a function: arguments in, exit code out, everything printed through `streams`. */
import { Command, CommanderError } from 'commander';
import type { Context, Outcome } from './command.js';
import { commands } from './commands/index.js';
import { failureOf } from './failure.js';
import type { OutputOptions } from './options/shared.js';
import { toJson } from './output/json.js';
import { ProgressBar, type Terminal } from './output/progress.js';
import { version } from './version.js';

export interface Streams {
  /** Resolves when the text has left the process. */
  print(text: string): Promise<void>;
  printError(text: string): Promise<void>;
  /** Somebody who watches, or nobody. */
  readonly terminal: Terminal | undefined;
}

export async function run(argv: readonly string[], streams: Streams, signal: AbortSignal): Promise<number> {
  let bar: ProgressBar | undefined;
  let help = '';
  let outcome: { text: string } | undefined;
  const program = new Command('hessia')
    .description(
      'Second-order analysis of neural networks: curvature matrices of ONNX models, their products and spectra',
    )
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'describe a command')
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => {
        help += text;
      },
      writeErr: () => undefined,
    });
  for (const module of commands) {
    const command = program.command(module.name);
    module.define(command);
    command.action(async (...given: unknown[]) => {
      // commander hands over the arguments, then the options, then the command
      const args = given.slice(0, -2) as string[];
      const options = given.at(-2) as OutputOptions & Record<string, unknown>;
      if (streams.terminal && !options.quiet) bar = new ProgressBar(streams.terminal);
      const context: Context = {
        signal,
        argv,
        version,
        progress: (progress) => bar?.update(progress),
        announce: (line) => {
          if (!options.json) bar?.print(line);
        },
      };
      const result = await module.run(args, options, context);
      outcome = { text: render(result, options) };
    });
  }
  defineHelp(program);
  try {
    if (argv.length === 0) program.outputHelp();
    else await program.parseAsync([...argv], { from: 'user' });
    bar?.clear();
    await streams.print(outcome?.text ?? help);
    return 0;
  } catch (error) {
    bar?.clear();
    if (error instanceof CommanderError && error.exitCode === 0) {
      // --help and --version end this way
      await streams.print(help);
      return 0;
    }
    const failure = failureOf(error, signal.aborted);
    await streams.printError(`hessia: ${failure.message}\n`);
    return failure.exitCode;
  }
}

function render({ document, summary }: Outcome, { json, quiet }: OutputOptions): string {
  if (json) return toJson(document);
  return quiet ? '' : summary.toString();
}

/** Ours, because commander's own ends with 0 for commands that do not exist. */
function defineHelp(program: Command): void {
  program
    .command('help')
    .argument('[command]')
    .description('describe a command')
    .action((name: string | undefined) => {
      const command = name === undefined ? program : program.commands.find((c) => c.name() === name);
      if (!command) throw new CommanderError(2, 'commander.unknownCommand', `unknown command '${name}'`);
      command.outputHelp();
    });
}
