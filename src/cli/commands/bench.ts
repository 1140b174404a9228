/** How fast products are on this machine, next to the gradient and to a plain matrix product. */
import { type Command, Option } from 'commander';
import { formatBytes, formatCount, formatDuration } from '../../base/format.js';
import type { CommandModule, Context, OptionValues, Outcome } from '../command.js';
import type { BenchResult } from '../measure/bench.js';
import { wholeNumber, wholeNumbers } from '../options/parsers.js';
import {
  addDataOptions,
  addModelOptions,
  addOperatorOption,
  type DataOptions,
  type ModelOptions,
  type OperatorOptions,
} from '../options/shared.js';
import { formatFlops } from '../output/flops.js';
import { Lines } from '../output/lines.js';

type Options = ModelOptions &
  DataOptions &
  OperatorOptions & {
    readonly blocks: readonly number[];
    readonly repeats: number;
    readonly profile?: true;
  };

export const bench: CommandModule = {
  name: 'bench',
  define(command: Command): void {
    command
      .description('measure products, gradient and memory')
      .argument('<model>', 'ONNX file')
      .addOption(
        new Option('--blocks <list>', 'vectors at a time, such as 1,8')
          .argParser(wholeNumbers(1, 256))
          .default([1, 8], '1,8'),
      )
      .addOption(new Option('--repeats <n>', 'of which the median counts').argParser(wholeNumber(1, 1000)).default(9))
      .addOption(new Option('--profile', 'time per instruction of one product'));
    addDataOptions(addModelOptions(addOperatorOption(command)), 'required');
    command.addHelpText(
      'after',
      '\nExample:\n  hessia bench cnn.onnx --data test.npz --samples 256 --blocks 1,8 --profile',
    );
  },
  async run([path], values: OptionValues, context: Context): Promise<Outcome> {
    const options = values as unknown as Options;
    const { measure } = await import('../measure/bench.js');
    const { openSession } = await import('../session.js');
    await using session = await openSession(path as string, options);
    const result = await measure(session, options, context);
    const document = {
      schemaVersion: 1,
      model: path,
      operator: options.operator,
      ...result,
      repeats: options.repeats,
      device: session.device.kind,
      deviceName: session.device.name,
      dtype: options.dtype,
      threads: session.device.threads,
      version: context.version,
      warnings: session.model.warnings,
    };
    return {
      document,
      summary: summarise(path as string, options, result, `${session.device.name}, ${options.dtype}`).notes(
        session.model.warnings,
      ),
    };
  },
};

function summarise(path: string, options: Options, r: BenchResult, device: string): Lines {
  const speed = (flops: number, seconds: number): string[] => {
    const perSecond = flops / seconds;
    return [`${formatFlops(perSecond)}/s`, `${Math.round((100 * perSecond) / r.matmulFlopsPerSecond)} %`];
  };
  const lines = new Lines()
    .text(
      `${options.operator} products of ${path}: dimension ${formatCount(r.dimension)}, ${formatCount(r.samples)} samples in batches of ${formatCount(r.batchSize)}`,
    )
    .table(
      ['', 'time', '× gradient', 'speed', 'of matmul', 'memory'],
      [
        [
          'gradient',
          formatDuration(r.gradient.seconds),
          '1.00',
          ...speed(r.gradient.flops, r.gradient.seconds),
          formatBytes(r.gradient.peakBytes),
        ],
        [
          'shared pass',
          formatDuration(r.primal.seconds),
          (r.primal.seconds / r.gradient.seconds).toFixed(2),
          ...speed(r.primal.flops, r.primal.seconds),
          '',
        ],
        ...r.products.map((p) => [
          `product, ${p.block} at a time`,
          formatDuration(p.secondsPerProduct),
          (p.secondsPerProduct / r.gradient.seconds).toFixed(2),
          ...speed(r.flopsPerProduct, p.secondsPerProduct),
          formatBytes(p.peakBytes),
        ]),
      ],
    )
    .pairs([
      ['matrix product 1024³', `${formatFlops(r.matmulFlopsPerSecond)}/s`],
      [
        'shared pass',
        r.retained ? 'kept for all batches' : 'not kept for all batches: products recompute it; see --memory',
      ],
      ['device', device],
    ]);
  if (r.profile) {
    lines
      .text('')
      .text(`Instructions of a product, ${r.profile.block} at a time, first batch:`)
      .table(
        ['time', 'share', 'speed', ''],
        r.profile.instructions
          .slice(0, 25)
          .map((i) => [
            formatDuration(i.seconds),
            `${(100 * i.share).toFixed(1)} %`,
            i.flops > 0 ? `${formatFlops(i.flops / i.seconds)}/s` : '',
            `  ${i.label}`,
          ]),
        0,
      );
    if (r.profile.instructions.length > 25)
      lines.text(`  … and ${r.profile.instructions.length - 25} more; --json lists all`);
  }
  return lines;
}
