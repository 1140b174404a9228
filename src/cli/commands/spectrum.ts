/** The spectrum of a curvature matrix: extreme eigenvalues, trace, density, and a report of it. */
import { type Command, Option } from 'commander';
import { formatBytes, formatCount, formatDuration } from '../../base/format.js';
import type { MemoryPlan } from '../../operators/curvature.js';
import type { ReportContext, SpectrumDocument } from '../../report/document.js';
import { significant, withError } from '../../report/numbers.js';
import type { SpectrumResult } from '../../solvers/spectrum.js';
import type { CommandModule, Context, OptionValues, Outcome } from '../command.js';
import { wholeNumber } from '../options/parsers.js';
import {
  addDataOptions,
  addModelOptions,
  addOperatorOption,
  type DataOptions,
  type ModelOptions,
  type OperatorOptions,
} from '../options/shared.js';
import { libraryAdvice } from '../output/advice.js';
import type { OutputFolder } from '../output/folder.js';
import { Lines } from '../output/lines.js';
import { commandLine } from '../output/shell.js';
import type { Session } from '../session.js';

type Options = ModelOptions &
  DataOptions &
  OperatorOptions & {
    readonly steps: number;
    readonly probes: number;
    readonly out?: string;
  };

const files = { report: 'report.html', json: 'spectrum.json', arrays: 'spectrum.npz' } as const;
/** Vectors beside the bases: starts, and both ends' eigenvectors with their products. */
const besides = 100;

export const spectrum: CommandModule = {
  name: 'spectrum',
  define(command: Command): void {
    command
      .description('eigenvalue density, extreme eigenvalues and trace, with a report')
      .argument('<model>', 'ONNX file')
      .addOption(new Option('--steps <n>', 'Lanczos steps per probe').argParser(wholeNumber(1)).default(100))
      .addOption(new Option('--probes <n>', 'random start vectors').argParser(wholeNumber(1)).default(10))
      .addOption(new Option('--out <folder>', `write ${Object.values(files).join(', ')} there`));
    addDataOptions(addModelOptions(addOperatorOption(command)), 'required');
    command.addHelpText(
      'after',
      '\nExample:\n  hessia spectrum cnn.onnx --data test.npz --samples 1000 --out hessia-report',
    );
  },
  async run([path], values: OptionValues, context: Context): Promise<Outcome> {
    const options = values as unknown as Options;
    const { GradientEvaluator } = await import('../../operators/gradient.js');
    const { spectrum: solve } = await import('../../solvers/spectrum.js');
    const { nativeInfo } = await import('../../device/open.js');
    const { openFolder } = await import('../output/folder.js');
    const { openOperator, openSession } = await import('../session.js');
    const { signal } = context;
    await using session = await openSession(path as string, options);
    using folder = options.out === undefined ? undefined : await openFolder(options.out, Object.values(files));
    const { operator, vectorMemory } = await openOperator(
      session,
      options,
      options.probes * (options.steps + 2) + besides,
    );
    const plan = planLine(operator.plan, vectorMemory);
    context.announce(plan);
    const point = await new GradientEvaluator(operator.execution).evaluate({ signal });
    point.gradient.dispose();
    const result = await solve(operator, {
      steps: options.steps,
      probes: options.probes,
      seed: options.seed,
      memory: vectorMemory,
      signal,
      onProgress: (progress) => context.progress(progress),
    });
    const document = toDocument(result, {
      path: path as string,
      options,
      session,
      context,
      batchSize: operator.execution.objective.batchSize,
      point,
    });
    const report: ReportContext = {
      lossName: options.loss,
      data: [...(options.data ?? []), ...(options.target === undefined ? [] : [options.target])],
      parameters: operator.execution.objective.parameters.map((p) => ({
        name: p.name,
        shape: p.shape,
        count: p.values().length,
      })),
      command: commandLine(context.argv),
      date: new Date(),
    };
    if (folder) await save(folder, document, report, signal);
    return { document, summary: summarise(document, [plan, ...libraryAdvice(nativeInfo().oneDNN)], folder) };
  },
};

interface Origin {
  readonly path: string;
  readonly options: Options;
  readonly session: Session;
  readonly context: Context;
  readonly batchSize: number;
  readonly point: { readonly loss: number; readonly norm: number };
}

function toDocument(
  result: SpectrumResult,
  { path, options, session, context, batchSize, point }: Origin,
): SpectrumDocument {
  const { device } = session;
  const { density } = result;
  const nullable = (a: Float64Array): (number | null)[] => Array.from(a, (v) => (Number.isFinite(v) ? v : null));
  const pair = ({ value, residual }: { value: number; residual: number }): { value: number; residual: number } => ({
    value,
    residual,
  });
  return {
    schemaVersion: 1,
    model: path,
    operator: options.operator,
    dimension: result.dimension,
    samples: options.samples ?? session.data.samples,
    batchSize,
    loss: point.loss,
    gradientNorm: point.norm,
    largest: result.largest.map(pair),
    smallest: result.smallest.map(pair),
    trace: { estimate: result.trace.estimate, standardError: result.trace.standardError },
    density: {
      grid: Array.from(density.grid),
      value: Array.from(density.value),
      lower: nullable(density.lower),
      upper: nullable(density.upper),
      unreliable: density.unreliable,
      width: density.width,
    },
    ritz: result.ritz.map(({ nodes, weights }) => ({ nodes: Array.from(nodes), weights: Array.from(weights) })),
    steps: result.steps,
    probes: result.probes,
    products: result.products,
    converged: result.converged,
    asymmetry: result.asymmetry,
    seconds: result.seconds,
    device: device.kind,
    deviceName: device.name,
    dtype: options.dtype,
    threads: device.threads,
    seed: options.seed,
    version: context.version,
    warnings: session.model.warnings,
  };
}

async function save(
  folder: OutputFolder,
  document: SpectrumDocument,
  context: ReportContext,
  signal: AbortSignal,
): Promise<void> {
  const { writeFileAtomic } = await import('../../base/atomic-write.js');
  const { writeNpz } = await import('../../data/index.js');
  const { renderReport } = await import('../../report/index.js');
  const { toJson } = await import('../output/json.js');
  const { spectrumArrays } = await import('../spectrum-arrays.js');
  const page = renderReport(document, context);
  // From here on it takes milliseconds; stopping between files would leave a part of them.
  signal.throwIfAborted();
  await writeNpz(folder.file(files.arrays), spectrumArrays(document));
  await writeFileAtomic(folder.file(files.json), toJson(document));
  await writeFileAtomic(folder.file(files.report), page);
}

function planLine(plan: MemoryPlan, vectors: number): string {
  const kept =
    plan.kept === plan.batches ? 'all kept' : `${plan.kept} of ${plan.batches} batches kept, the others recomputed`;
  return (
    `memory: budget ${formatBytes(Math.round(plan.budget))}; activations ${formatBytes(plan.residuals)} per batch (${kept}), ` +
    `work space ${formatBytes(plan.scratch)} for ${plan.block} products at a time, up to ${formatBytes(Math.round(vectors))} for vectors`
  );
}

function summarise(d: SpectrumDocument, notes: readonly string[], folder: OutputFolder | undefined): Lines {
  const lines = new Lines()
    .text(`Spectrum of the ${d.operator} matrix of ${d.model} over ${formatCount(d.samples)} samples`)
    .pairs([
      ['dimension', formatCount(d.dimension)],
      ['loss', significant(d.loss, 6)],
      ['gradient norm', significant(d.gradientNorm, 4)],
      ['trace', withError(d.trace.estimate, d.trace.standardError)],
    ])
    .text('');
  const rows = Math.max(d.largest.length, d.smallest.length);
  const cell = (e: { value: number; residual: number } | undefined): string[] =>
    e ? [significant(e.value, 6), significant(e.residual, 2)] : ['', ''];
  lines.table(
    ['', 'largest', 'residual', 'smallest', 'residual'],
    Array.from({ length: rows }, (_, i) => [i + 1, ...cell(d.largest[i]), ...cell(d.smallest[i])]),
  );
  lines
    .text('')
    .pairs([
      [
        'work',
        `${d.steps} steps × ${d.probes} probes, ${formatCount(d.products)} products in ${formatDuration(d.seconds)}`,
      ],
      ['device', `${d.deviceName}, ${d.dtype}`],
      ['converged', d.converged ? 'yes' : `no: take more steps (--steps ${Math.min(d.dimension, 2 * d.steps)})`],
    ])
    .notes([...notes, ...d.warnings]);
  if (folder) lines.text(`report: ${folder.file(files.report)}`);
  else lines.text('Add --out FOLDER for a report with the density.');
  return lines;
}
