/** From options to an open model, data and device; everything is closed again by `dispose`. */
import { InputError, OutOfMemoryError, UnsupportedError } from '../base/errors.js';
import { formatBytes } from '../base/format.js';
import { type Dataset, openDataset } from '../data/index.js';
import type { Device } from '../device/device.js';
import { openDevice } from '../device/open.js';
import { type MeanLoss, meanLoss } from '../model/mean-loss.js';
import type { Model } from '../model/model.js';
import { Objective } from '../model/objective.js';
import { loadOnnx } from '../onnx/index.js';
import { type CurvatureOptions, curvature, memoryBudget } from '../operators/create.js';
import type { CurvatureOperator } from '../operators/curvature.js';
import { lossFrom } from './options/loss.js';
import type { DataOptions, ModelOptions, OperatorOptions, TestOptions } from './options/shared.js';

export interface Session extends AsyncDisposable {
  readonly model: Model;
  readonly data: Dataset;
  readonly loss: MeanLoss;
  readonly device: Device;
  /** for `curvature` and `execute`; memory is the whole budget */
  readonly options: CurvatureOptions & { readonly memory: number };
  /** whether the user said how much memory */
  readonly memoryStated: boolean;
}

export async function openSession(path: string, options: ModelOptions & DataOptions): Promise<Session> {
  const model = await loadOnnx(path, { mode: options.mode, fix: options.fix });
  refuseUnsupported(model);
  const data = await openData(options);
  try {
    const loss = meanLoss(model, await lossFrom(options.loss, options.classAxis), data, {
      batchSize: options.batchSize,
      output: options.modelOutput,
      l2: options.l2,
      batchCoupled: options.batchCoupled,
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
      memoryStated: options.memory !== undefined,
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

/** The session's loss over all of `--test`; null where that was not given. `evaluated`: where not the session's own model. */
export async function openTest(
  { model, loss }: Session,
  options: DataOptions & TestOptions,
  evaluated: Model = model,
): Promise<(AsyncDisposable & { readonly loss: MeanLoss }) | null> {
  if (options.test === undefined) return null;
  const data = await openData({ ...options, data: options.test, target: options.testTarget, samples: undefined });
  return {
    loss: meanLoss(evaluated, loss.loss, data, { ...loss, samples: undefined }),
    [Symbol.asyncDispose]: () => data.dispose(),
  };
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

/** Fewer no solver can do with. */
const fewestVectors = 4;

/**
 * The operator within the session's memory less what the caller's vectors will take. Vectors get at most half, and less
 * where one product needs more: solvers run probes in groups, operators recompute, so both can do with less
 * than they would like. Throws where even so there is no room: InputError if the memory was stated, else OutOfMemoryError.
 */
export async function openOperator(
  session: Session,
  options: OperatorOptions,
  vectors: number,
  block?: number,
): Promise<{ operator: CurvatureOperator; vectorMemory: number }> {
  const { dimension } = new Objective(session.loss, session.options);
  const each = dimension * (session.options.dtype === 'float32' ? 4 : 8);
  const { memory } = session.options;
  const open = (forVectors: number): Promise<CurvatureOperator> =>
    curvature(options.operator, session.loss, {
      ...session.options,
      memory: memory - forVectors,
      block,
      fisherSamples: options.fisherSamples,
    });
  const least = Math.min(vectors, fewestVectors) * each;
  let wanted = Math.min(vectors * each, memory / 2);
  let operator: CurvatureOperator;
  try {
    operator = await open(wanted).catch((error: unknown) => {
      if (!(error instanceof OutOfMemoryError) || least >= wanted) throw error;
      wanted = least;
      return open(least);
    });
  } catch (error) {
    if (!(error instanceof OutOfMemoryError) || error.needed === undefined) throw error;
    const message = `a product needs ${formatBytes(error.needed)} and its vectors ${formatBytes(Math.min(wanted, least))}, more than the ${formatBytes(memory)} of --memory; use a smaller --batch-size or a larger --memory`;
    throw session.memoryStated
      ? new InputError(message, { cause: error })
      : new OutOfMemoryError(message.replace('of --memory', 'that may be used'), { cause: error });
  }
  const { plan } = operator;
  const used = plan.parameters + plan.data + plan.residuals * plan.kept + plan.scratch;
  return { operator, vectorMemory: Math.max(wanted, memory - used) };
}
