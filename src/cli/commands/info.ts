/** What is in a model file: parameters, operators, and what its products would cost. */
import type { Command } from 'commander';
import { cached } from '../../base/cached.js';
import { InterruptedError, messageOf } from '../../base/errors.js';
import { formatBytes, formatCount } from '../../base/format.js';
import { selectByGlobs } from '../../base/glob.js';
import type { Model } from '../../model/model.js';
import type { LayerTap } from '../../taps/list.js';
import type { CommandModule, Context, OptionValues, Outcome } from '../command.js';
import type { Costs } from '../measure/costs.js';
import { lossFrom } from '../options/loss.js';
import { addDataOptions, addModelOptions, type DataOptions, type ModelOptions } from '../options/shared.js';
import { formatFlops } from '../output/flops.js';
import { Lines } from '../output/lines.js';
import { byModule } from '../output/modules.js';

type Options = ModelOptions & DataOptions;

export const info: CommandModule = {
  name: 'info',
  define(command: Command): void {
    command
      .description('inputs, outputs, parameters and operators of a model, and what products cost')
      .argument('<model>', 'ONNX file');
    addDataOptions(addModelOptions(command), 'optional');
    command.addHelpText('after', '\nExample:\n  hessia info cnn.onnx');
  },
  async run([path], values: OptionValues, context: Context): Promise<Outcome> {
    const options = values as unknown as Options;
    const { loadOnnx } = await import('../../onnx/index.js');
    const model = await loadOnnx(path as string, { mode: options.mode, fix: options.fix });
    const chosen = new Set(
      selectByGlobs(
        model.parameters.map((p) => p.name),
        options.params ?? [],
        options.freeze ?? [],
        'parameter',
      ),
    );
    const parameters = model.parameters
      .filter((p) => chosen.has(p.name))
      .map((p) => ({ name: p.name, shape: p.shape, count: size(p.shape), consumers: p.consumers }));
    const dimension = total(parameters);
    const costs = await costsOf(model, options, context.signal);
    const layers = (name: string): Layer[] | null =>
      costs.taps?.filter((t) => t.parameter === name).map(layerOf) ?? null;
    const document = {
      schemaVersion: 1,
      model: path,
      inputs: model.inputs,
      outputs: costs.outputs,
      parameters: parameters.map((p) => ({ ...p, layers: layers(p.name) })),
      dimension,
      modules: byModule(parameters).map(({ path, members }) => ({
        path,
        count: total(members),
        parameters: members.map((p) => p.name),
      })),
      buffers: model.buffers.map((b) => ({ name: b.name, shape: b.shape, count: size(b.shape), why: b.why ?? null })),
      frozen: model.parameters
        .filter((p) => !chosen.has(p.name))
        .map((p) => ({ name: p.name, shape: p.shape, count: size(p.shape), why: 'left out by --params or --freeze' })),
      operators: new Map([...model.operators].sort(([a], [b]) => (a < b ? -1 : 1))),
      unsupported: model.unsupported,
      flops: costs.counted ? { ...costs.counted.flops, per: 'sample' } : null,
      bytes: costs.counted ? { ...costs.counted.bytes, per: 'batch', batchSize: costs.counted.batchSize } : null,
      omitted: costs.reason,
      fixedBatch: model.fixedBatch,
      warnings: model.warnings,
      version: context.version,
    };
    return { document, summary: summarise(path as string, document, costs) };
  },
};

const total = (all: readonly { readonly count: number }[]): number => all.reduce((n, { count }) => n + count, 0);
const size = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

/** How a parameter is used, one sample's worth; see LayerTap. */
type Layer = Pick<LayerTap, 'kind' | 'consumer' | 'positions' | 'groups' | 'in' | 'out' | 'bias' | 'weight'>;
const layerOf = ({ kind, consumer, positions, groups, in: inner, out, bias, weight }: LayerTap): Layer => ({
  kind,
  consumer,
  positions,
  groups,
  in: inner,
  out,
  bias,
  weight,
});

type Output = { readonly name: string; readonly shape?: readonly (number | null)[] };

interface CostReport {
  readonly counted: Costs | null;
  /** why nothing was counted */
  readonly reason: string | null;
  readonly outputs: readonly Output[];
  /** null where the model cannot be built */
  readonly taps: readonly LayerTap[] | null;
}

/** Costs where they can be counted; a model that cannot be run is still described. */
async function costsOf(model: Model, options: Options, signal: AbortSignal): Promise<CostReport> {
  const names: Output[] = model.outputs.map(({ name }) => ({ name }));
  if (model.unsupported.length > 0)
    return { counted: null, reason: 'the model uses operators that are not supported', outputs: names, taps: null };
  const { countCosts } = await import('../measure/costs.js');
  const { openData, openDeviceFor } = await import('../session.js');
  const { outputShapes, syntheticData } = await import('../synthetic-data.js');
  // Options that are wrong are refused; only what the file leaves open is a reason to leave costs out.
  const real = options.data === undefined ? undefined : await openData(options);
  const device = openDeviceFor(options);
  let outputs = names;
  let taps: readonly LayerTap[] | null = null;
  try {
    const samples = model.fixedBatch ?? options.batchSize ?? Math.min(256, options.samples ?? 256);
    const subject = real
      ? { data: real, loss: await lossFrom(options.loss, options.classAxis) }
      : syntheticData(model, samples, options);
    const inputs = inputsOf(model, subject.data);
    const shapes = model.inputs.every((i) => inputs.has(i.name))
      ? outputShapes(model, inputs, samples)
      : new Map<string, readonly number[]>();
    outputs = names.map(({ name }) => ({ name, ...described(shapes.get(name)) }));
    const { layerTaps } = await import('../../taps/layer-taps.js');
    const chosen = { parameters: options.params, freeze: options.freeze };
    taps = layerTaps({ model, ...subject, batchSize: options.batchSize, output: options.modelOutput }, chosen);
    const counted = await countCosts(
      { model, ...subject, device, batchSize: options.batchSize, output: options.modelOutput },
      {
        dtype: options.dtype,
        ...chosen,
        memory: options.memory,
      },
    );
    return { counted, reason: null, outputs, taps };
  } catch (error) {
    if (signal.aborted || error instanceof InterruptedError || real) throw error;
    return { counted: null, reason: messageOf(error), outputs, taps };
  } finally {
    device.dispose();
    await real?.dispose();
  }
}

/** The data's arrays under the model's names; a single one serves whatever it is called. */
function inputsOf(
  model: Model,
  data: {
    readonly inputs: ReadonlyMap<
      string,
      { readonly dtype: 'float32' | 'float64' | 'int32' | 'bool'; readonly sampleShape: readonly number[] }
    >;
  },
): typeof data.inputs {
  const [only] = data.inputs.values();
  const [input] = model.inputs;
  return model.inputs.length === 1 && only && input && !data.inputs.has(input.name)
    ? new Map([[input.name, only]])
    : data.inputs;
}

/** Axis 0 counts samples, however many. */
function described(shape: readonly number[] | undefined): { shape?: readonly (number | null)[] } {
  return shape === undefined ? {} : { shape: shape.map((d, i) => (i === 0 ? null : d)) };
}

type Fixed = { readonly name: string; readonly count: number; readonly why: string | null };

type Document = {
  readonly inputs: Model['inputs'];
  readonly outputs: readonly Output[];
  readonly parameters: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly count: number;
    readonly consumers: readonly string[];
    readonly layers: readonly Layer[] | null;
  }[];
  readonly dimension: number;
  readonly buffers: readonly Fixed[];
  readonly frozen: readonly Fixed[];
  readonly operators: ReadonlyMap<string, number>;
  readonly unsupported: readonly string[];
  readonly warnings: readonly string[];
};

function summarise(path: string, d: Document, costs: CostReport): Lines {
  const shape = (s: readonly (number | null)[] | undefined): string =>
    s === undefined ? '' : ` [${s.map((v, i) => v ?? (i === 0 ? 'N' : '?')).join(', ')}]`;
  const lines = new Lines()
    .text(`${path}: ${formatCount(d.dimension)} parameters in ${d.parameters.length} tensors`)
    .pairs([
      ['inputs', d.inputs.map((i) => `${i.name} ${i.dtype}${shape(i.shape)}`).join(', ')],
      ['outputs', d.outputs.map((o) => o.name + shape(o.shape)).join(', ')],
      ['operators', [...d.operators].map(([name, count]) => `${name} ${count}`).join(', ')],
      ['buffers', `${d.buffers.length}, ${formatCount(total(d.buffers))} numbers`],
      ...reasons([...d.buffers, ...d.frozen]),
      ...(d.unsupported.length > 0 ? [['unsupported', d.unsupported.join(', ')] as const] : []),
    ]);
  if (costs.counted) {
    const { flops, bytes, batchSize } = costs.counted;
    const count = formatFlops;
    lines.pairs([
      [
        'per sample',
        `forward ${count(flops.forward)}, gradient ${count(flops.gradient)}, Hessian product ${count(flops.hessianProduct)} after the shared pass`,
      ],
      [
        'per batch',
        `${formatBytes(bytes.residuals)} kept for products, ${formatBytes(bytes.perProduct)} work space, at ${batchSize} samples`,
      ],
    ]);
  } else lines.notes([`costs are not counted: ${costs.reason}`]);
  lines
    .notes(d.warnings)
    .text('')
    .table(
      ['parameter', 'used by', 'as', 'shape', 'count'],
      byModule(d.parameters).flatMap(({ path, members }) => {
        // a module of several parameters has a line of its own, and theirs are short
        const together = path !== '' && members.length > 1;
        const rows = members.map((p) => [
          together ? `  ${p.name.slice(path.length + 1)}` : p.name,
          // what computes with it, through transposes and shape arithmetic, where that is known
          (p.layers?.map((l) => l.consumer) ?? p.consumers).join(', '),
          [...new Set(p.layers?.map((l) => l.kind))].join(', '),
          p.shape.join(' × '),
          formatCount(p.count),
        ]);
        return together ? [[path, '', '', '', formatCount(total(members))], ...rows] : rows;
      }),
      3,
    );
  return lines;
}

/** What is not differentiated, by the reason: a few names, and how many there are. */
function reasons(fixed: readonly Fixed[]): [string, string][] {
  const groups = new Map<string, Fixed[]>();
  for (const f of fixed) cached(groups, f.why ?? 'no parameters', () => []).push(f);
  return [...groups].map(([why, members]) => {
    const names = members.slice(0, 3).map((m) => m.name);
    const more = members.length > names.length ? `, … (${members.length})` : '';
    return [`  ${why}`, `${names.join(', ')}${more}: ${formatCount(total(members))} numbers`];
  });
}
