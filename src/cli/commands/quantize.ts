/** Quantisation from the command line: the file with its weights in few bits, and what that cost. */
import { type Command, Option } from 'commander';
import { formatDuration } from '../../base/format.js';
import type { Evaluation } from '../../operators/evaluation.js';
import type { QuantizationMethod, QuantizedLayerResult } from '../../quantization/index.js';
import { significant } from '../../report/numbers.js';
import { percent } from '../../report/training.js';
import type { CommandModule, Context, OptionValues, Outcome } from '../command.js';
import { nonNegativeNumber, wholeNumber } from '../options/parsers.js';
import {
  addDataOptions,
  addModelOptions,
  addTestOptions,
  type DataOptions,
  type ModelOptions,
  type TestOptions,
} from '../options/shared.js';
import { Lines } from '../output/lines.js';

type Options = ModelOptions &
  DataOptions &
  TestOptions & {
    readonly method: QuantizationMethod;
    readonly bits: number;
    readonly group?: number;
    readonly actOrder?: true;
    readonly symmetric?: true;
    readonly damping?: number;
    readonly out: string;
  };

interface QuantizeDocument {
  readonly schemaVersion: 1;
  readonly model: string;
  readonly out: string;
  readonly method: QuantizationMethod;
  readonly bits: number;
  readonly group: number | null;
  readonly symmetric: boolean;
  readonly actOrder: boolean;
  readonly samples: number;
  readonly before: Evaluation;
  readonly after: Evaluation;
  readonly layers: readonly QuantizedLayerResult[];
  readonly seconds: number;
  readonly device: string;
  readonly dtype: string;
  readonly threads: number;
  readonly version: string;
  readonly warnings: readonly string[];
}

export const quantize: CommandModule = {
  name: 'quantize',
  define(command: Command): void {
    command
      .description("put an ONNX model's weights into few bits, each layer making up for its rounding")
      .argument('<model>', 'ONNX file')
      .addOption(
        new Option('--method <name>', 'rtn: round to nearest; obq and gptq: with the inverse Hessian of each layer')
          .choices(['rtn', 'obq', 'gptq'])
          .default('gptq'),
      )
      .addOption(new Option('--bits <n>', 'of a weight, 2 to 8').argParser(wholeNumber(2, 8)).default(4))
      .addOption(
        new Option('--group <columns>', 'inputs of an output that share a scale (default: all)').argParser(
          wholeNumber(1),
        ),
      )
      .addOption(new Option('--act-order', 'gptq: inputs with the largest curvature first'))
      .addOption(new Option('--symmetric', 'no zero points'))
      .addOption(
        new Option(
          '--damping <share>',
          "of the mean diagonal of a layer's Hessian (default: 0.01, obq 1e-6)",
        ).argParser(nonNegativeNumber()),
      )
      .addOption(new Option('--out <file>', 'the ONNX file to write').makeOptionMandatory());
    addTestOptions(addDataOptions(addModelOptions(command), 'required'), 'measure loss and accuracy on');
    command.addHelpText(
      'after',
      '\nExample:\n  hessia quantize cnn.onnx --data calibration.npz --samples 1024 --test test.npz --method gptq --bits 4 --out cnn-4bit.onnx',
    );
  },
  async run([path], values: OptionValues, context: Context): Promise<Outcome> {
    const options = values as unknown as Options;
    const { signal } = context;
    const { ensureWritable } = await import('../../base/atomic-write.js');
    const { writeQuantizedOnnx } = await import('../../onnx/index.js');
    const { quantize: run } = await import('../../quantization/index.js');
    const { openSession, openTest } = await import('../session.js');
    await ensureWritable(options.out);
    await using session = await openSession(path as string, options);
    await using test = await openTest(session, options);
    const { method, bits, group, symmetric = false, actOrder = false, damping } = options;
    const result = await run(session.loss, {
      ...session.options,
      ...{ method, bits, group, symmetric, actOrder, damping, signal },
      test: test?.loss,
      onProgress: (layer, done, total) => context.progress({ stage: layer, products: done, total, unit: 'layers' }),
    });
    signal.throwIfAborted();
    await writeQuantizedOnnx(path as string, result.weights, options.out);
    const document: QuantizeDocument = {
      schemaVersion: 1,
      model: path as string,
      out: options.out,
      ...{ method, bits, group: group ?? null, symmetric, actOrder },
      samples: session.loss.samples ?? session.data.samples,
      before: result.before,
      after: result.after,
      layers: result.layers,
      seconds: result.seconds,
      device: session.device.name,
      dtype: options.dtype,
      threads: session.device.threads,
      version: context.version,
      warnings: session.model.warnings,
    };
    return { document, summary: summarise(document) };
  },
};

function summarise(d: QuantizeDocument): Lines {
  const change = (of: (e: Evaluation) => string): string => `${of(d.before)} → ${of(d.after)}`;
  return new Lines()
    .text(`Quantised ${d.layers.length} layers of ${d.model} to ${d.bits} bits by ${d.method}`)
    .pairs([
      ['loss', change((e) => significant(e.loss, 6))],
      ['accuracy', d.before.accuracy === null ? '' : change((e) => percent(e.accuracy))],
      ['time', formatDuration(d.seconds)],
      ['device', `${d.device}, ${d.dtype}`],
      ['written', d.out],
    ])
    .notes(d.warnings);
}
