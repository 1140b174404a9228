/** Data of the shapes a model takes, all zeros: enough to count operations and bytes without any data. */
import { InputError } from '../base/errors.js';
import type { NdArray } from '../base/ndarray.js';
import { arrayStorage } from '../base/ndarray.js';
import type { ArraySpec, DataDType, Dataset } from '../data/index.js';
import { type DType, Graph, isFloat, type Shape } from '../graph/index.js';
import { crossEntropy, type Loss, lossByName } from '../model/loss.js';
import type { Model } from '../model/model.js';
import { lossName } from './options/loss.js';

export interface Synthetic {
  readonly data: Dataset;
  readonly loss: Loss;
}

/** Throws InputError where the file leaves more than the batch open. */
export function syntheticData(
  model: Model,
  samples: number,
  options: { loss: string; classAxis?: number; modelOutput?: string },
): Synthetic {
  const inputs = new Map<string, ArraySpec>();
  for (const { name, dtype, shape } of model.inputs) {
    if (shape.slice(1).includes(null))
      throw new InputError(
        `input '${name}' leaves more than the batch size open: give --data to count with its shapes`,
      );
    inputs.set(name, { dtype, sampleShape: shape.slice(1) as number[] });
  }
  const output = outputShapes(model, inputs, samples).get(options.modelOutput ?? model.outputs[0]?.name ?? '');
  if (output === undefined) throw new InputError(`${model.source} has no output '${options.modelOutput ?? ''}'`);
  const [, ...sample] = output;
  const name = lossName(options.loss);
  if (name !== 'cross-entropy') {
    const loss = lossByName(name);
    return {
      loss,
      data: zeros(samples, inputs, loss.target === null ? undefined : { dtype: 'float32', sampleShape: sample }),
    };
  }
  // Images count classes along axis 1, sequences along the last; the number of operations is the same.
  const rank = output.length;
  const axis = options.classAxis ?? (rank === 3 ? 2 : 1);
  const classAxis = axis < 0 ? axis + rank : axis;
  const target: ArraySpec = { dtype: 'int32', sampleShape: sample.filter((_, i) => i + 1 !== classAxis) };
  return { loss: crossEntropy({ classAxis }), data: zeros(samples, inputs, target) };
}

/** Shapes of all outputs for a batch. */
export function outputShapes(
  model: Model,
  inputs: ReadonlyMap<string, ArraySpec>,
  samples: number,
): Map<string, Shape> {
  const graph = new Graph();
  const leaf = (name: string, dtype: DType): [string, ReturnType<Graph['input']>] => {
    const spec = inputs.get(name) as ArraySpec;
    return [name, graph.input(name, [samples, ...spec.sampleShape], isFloat(dtype) ? 'float32' : dtype)];
  };
  const outputs = model.build({
    graph,
    dtype: 'float32',
    inputs: new Map(model.inputs.map((i) => leaf(i.name, i.dtype))),
    parameters: new Map(),
  });
  return new Map([...outputs].map(([name, node]) => [name, node.shape]));
}

function zeros(samples: number, inputs: ReadonlyMap<string, ArraySpec>, target: ArraySpec | undefined): Dataset {
  const array = ({ dtype, sampleShape }: ArraySpec, count: number): NdArray<DataDType> => {
    const shape = [count, ...sampleShape];
    return { dtype, shape, data: new arrayStorage[dtype](shape.reduce((n, d) => n * d, 1)) } as NdArray<DataDType>;
  };
  return {
    samples,
    inputs,
    ...(target ? { target } : {}),
    batch: async (_start, count) => ({
      inputs: new Map([...inputs].map(([name, spec]) => [name, array(spec, count)])),
      ...(target ? { target: array(target, count) } : {}),
    }),
    dispose: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}
