/**
 * Test data in evaluation mode at the point that training is at: its parameters and, where training moves running
 * statistics, those in place of the model's own. One forward pass over the data each time.
 */
import { InputError } from '../base/errors.js';
import type { Block } from '../device/block.js';
import { Execution } from '../model/execution.js';
import type { MeanLoss } from '../model/mean-loss.js';
import type { Parameter } from '../model/model.js';
import { Objective } from '../model/objective.js';
import { reachable } from '../transform/reach.js';
import { type Evaluation, Evaluator } from './evaluation.js';
import type { TrainingStep } from './training-step.js';

export interface Tested extends AsyncDisposable {
  evaluate(signal: AbortSignal | undefined): Promise<Evaluation>;
}

/** Throws InputError for a model in mode 'train', or one that does not read the running statistics that training moves. */
export async function testedAt(step: TrainingStep, f: MeanLoss): Promise<Tested> {
  const { device, dtype, objective } = step.execution;
  if (f.model.mode === 'train')
    throw new InputError(`test data are evaluated in mode eval: load ${f.model.source} in that mode for them`);
  const statistics = Object.entries(await step.buffers());
  const moved: Parameter[] = statistics.map(([name, values]) => ({
    ...{ name, shape: [values.length], consumers: [] },
    values: () => values,
  }));
  // to the evaluation both are numbers that come from outside; regularisation is of the parameters alone
  const { l2 = 0 } = f;
  const tested = new Objective({ ...f, l2: 0, model: { ...f.model, parameters: [...objective.parameters, ...moved] } });
  const point = moved.length > 0 ? device.block(dtype, tested.dimension, 1) : undefined;
  let execution: Execution | undefined;
  const dispose = (): void => {
    execution?.dispose();
    point?.dispose();
  };
  try {
    execution = await Execution.create(tested, { device, dtype, parameters: point ?? step.parameters });
    const graph = execution.graph(0);
    const read = new Set(reachable([graph.loss]));
    const unread = moved.find((_, i) => {
      const leaf = graph.parameters[objective.parameters.length + i];
      return !(leaf && read.has(leaf));
    });
    if (unread)
      throw new InputError(
        `the model of the test data, ${f.model.source}, does not read '${unread.name}', which training moves: load the same file in mode eval`,
      );
  } catch (error) {
    dispose();
    throw error;
  }
  const evaluator = new Evaluator(execution);
  return {
    async evaluate(signal) {
      if (point) await place(step, tested, point);
      const { loss, accuracy } = await evaluator.evaluate(signal);
      const square = l2 === 0 ? 0 : ((await step.parameters.gram(step.parameters))[0] as number);
      return { loss: loss + (l2 / 2) * square, accuracy };
    },
    [Symbol.asyncDispose]: async () => dispose(),
  };
}

/** point ← parameters, then running statistics */
async function place(step: TrainingStep, { parameters, offsets }: Objective, point: Block): Promise<void> {
  const buffers = await step.buffers();
  const own = point.elements(0, step.parameters.dimension);
  own.copyFrom(step.parameters);
  own.dispose();
  for (const [i, { name }] of parameters.entries()) {
    const values = buffers[name];
    if (!values) continue;
    const from = offsets[i] as number;
    const part = point.elements(from, from + values.length);
    part.write(values);
    part.dispose();
  }
}
