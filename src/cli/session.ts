/** From options to an open model, data and device; everything is closed again by `dispose`. */
import { InputError, UnsupportedError } from '../base/errors.js';
import { type Dataset, openDataset } from '../data/index.js';
import type { Device } from '../device/device.js';
import { openDevice } from '../device/open.js';
import { lossByName } from '../model/loss.js';
import { type MeanLoss, meanLoss } from '../model/mean-loss.js';
import type { Model } from '../model/model.js';
import { Objective } from '../model/objective.js';
import { loadOnnx } from '../onnx/index.js';
import { type CurvatureOptions, curvature, memoryBudget } from '../operators/create.js';
import type { CurvatureOperator } from '../operators/curvature.js';
import type { DataOptions, ModelOptions, OperatorOptions } from './options/shared.js';

export interface Session extends AsyncDisposable {
  readonly model: Model;
  readonly data: Dataset;
  readonly loss: MeanLoss;
  readonly device: Device;
  /** for `curvature` and `execute`; memory is the whole budget */
  readonly options: CurvatureOptions & { readonly memory: number };
}

export async function openSession(path: string, options: ModelOptions & DataOptions): Promise<Session> {
  const model = await loadOnnx(path);
  refuseUnsupported(model);
  const data = await openData(options);
  try {
    const loss = meanLoss(model, lossByName(options.loss, options.classAxis), data, {
      batchSize: options.batchSize,
      output: options.modelOutput,
    });
    const device = openDeviceFor(options);
    return {
      model,
      data,
      loss,
      device,
      options: {
        device,
        dtype: options.dtype,
        parameters: options.params,
        freeze: options.freeze,
        seed: options.seed,
        memory: memoryBudget(options.memory),
      },
      async [Symbol.asyncDispose]() {
        device.dispose();
        await data.dispose();
      },
    };
  } catch (error) {
    await data.dispose();
    throw error;
  }
}

export function openDeviceFor({ device, threads }: Pick<ModelOptions, 'device' | 'threads'>): Device {
  return openDevice({ device, ...(threads === undefined ? {} : { threads }) });
}

export function openData(options: DataOptions): Promise<Dataset> {
  if (options.data === undefined) throw new InputError('no data: give --data FILE');
  const given = {
    target: options.target,
    targetColumn: options.targetColumn,
    scale: options.scale,
    mean: options.mean,
    std: options.std,
    samples: options.samples,
  };
  const present = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return openDataset(options.data, present);
}

/** All of them at once: the next run should not fail on the next one. */
function refuseUnsupported(model: Model): void {
  if (model.unsupported.length === 0) return;
  throw new UnsupportedError(
    `${model.source} uses operators that this version cannot import: ${model.unsupported.join(', ')}`,
  );
}

/**
 * The operator within the session's memory less what the caller's vectors will take. Vectors get at most half:
 * solvers run probes in groups, operators recompute, so both can do with less than they would like.
 */
export async function openOperator(
  session: Session,
  options: OperatorOptions,
  vectors: number,
  block?: number,
): Promise<{ operator: CurvatureOperator; vectorMemory: number }> {
  const { dimension } = new Objective(session.loss, session.options);
  const element = session.options.dtype === 'float32' ? 4 : 8;
  const { memory } = session.options;
  const wanted = Math.min(vectors * dimension * element, memory / 2);
  const operator = await curvature(options.operator, session.loss, {
    ...session.options,
    memory: memory - wanted,
    block,
    fisherSamples: options.fisherSamples,
  });
  const { plan } = operator;
  const used = plan.parameters + plan.data + plan.residuals * plan.kept + plan.scratch;
  return { operator, vectorMemory: Math.max(wanted, memory - used) };
}
