/** The taps of a model or a loss, as a list; nothing is computed. Their values: openLayerTaps. */
import { InputError } from '../base/errors.js';
import { selectByGlobs } from '../base/glob.js';
import { Graph, isFloat, type Node, type Shape } from '../graph/index.js';
import { type BatchGraph, batchGraph } from '../model/batch-graph.js';
import type { MeanLoss } from '../model/mean-loss.js';
import type { Model } from '../model/model.js';
import { Objective, type ParameterChoice } from '../model/objective.js';
import { findTaps, type LayerTap, type TapNodes } from './list.js';

/** Options of `layerTaps`. */
export interface ListTapsOptions extends ParameterChoice {
  /** for a model whose inputs leave extents open: the shape of one sample of each, without the axis of samples */
  readonly sampleShapes?: Readonly<Record<string, Shape>> | undefined;
  /** for a model: the output that counts; default the first */
  readonly output?: string | undefined;
}

/**
 * For each parameter, where it is used and as what: see LayerTap. Of a loss (whose data tell all shapes) or of a model
 * alone. Throws InputError where a model leaves the shape of an input open.
 */
export function layerTaps(subject: Model | MeanLoss, options: ListTapsOptions = {}): readonly LayerTap[] {
  if ('build' in subject) return tapsOfModel(subject, options);
  const objective = new Objective(subject, options);
  return tapsOfBatch(batchGraph(objective, objective.model.fixedBatch ?? 1, 'float32', 0)).map((n) => n.tap);
}

export function tapsOfBatch(f: BatchGraph): TapNodes[] {
  const names = f.objective.parameters.map((p) => p.name);
  return findTaps({
    parameters: new Map(f.parameters.map((node, i) => [names[i] as string, node])),
    data: [...f.inputs.values()],
    output: f.output,
    samples: f.samples,
  });
}

function tapsOfModel(model: Model, { sampleShapes = {}, output, parameters = [], freeze = [] }: ListTapsOptions) {
  const graph = new Graph();
  const samples = model.fixedBatch ?? 1;
  const inputs = new Map<string, Node>();
  for (const { name, shape, dtype } of model.inputs) {
    const given = sampleShapes[name] ?? shape.slice(1);
    if (!given.every((d): d is number => d !== null))
      throw new InputError(
        `input '${name}' of ${model.source} leaves its shape open; give { sampleShapes: { '${name}': […] } }`,
      );
    inputs.set(name, graph.input(`data/${name}`, [samples, ...given], isFloat(dtype) ? 'float32' : dtype));
  }
  const names = selectByGlobs(
    model.parameters.map((p) => p.name),
    parameters,
    freeze,
    'parameter',
  );
  const chosen = new Set(names);
  const nodes = new Map<string, Node>();
  for (const p of model.parameters)
    if (chosen.has(p.name)) nodes.set(p.name, graph.input(`parameter/${p.name}`, p.shape, 'float32'));
  const values = model.build({ graph, dtype: 'float32', inputs, parameters: nodes });
  const wanted = output ?? model.outputs[0]?.name ?? '';
  const node = values.get(wanted);
  if (!node) throw new InputError(`${model.source} has no output '${wanted}'`);
  return findTaps({ parameters: nodes, data: [...inputs.values()], output: node, samples }).map((n) => n.tap);
}
