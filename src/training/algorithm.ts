/**
 * Optimizers at work on parameters that stay on a device. Pure optimizers (src/optimizers) compute in float64 on the
 * host and keep their own float64 parameters, of which the device gets a rounded copy: 2d elements over the bus a step,
 * and steps smaller than half an ulp of float32 are not lost. M-FAC works on the device.
 */
import type { Block } from '../device/block.js';
import { MfacOptimizer, type MfacOptimizerOptions, type MfacState } from '../optimizers/mfac.js';
import type { Optimizer } from '../optimizers/optimizer.js';

/** What moves the parameters of a training run, step by step, on the device. */
export interface Algorithm {
  /** One step in place. A gradient that is not finite is refused with ComputationError, and nothing has changed then. */
  update(gradient: Block): Promise<void>;
  /** Plain data, from which the same factory continues in the same bits. */
  save(): Promise<unknown>;
  /** Frees what it holds on the device; not the parameters. */
  dispose(): void;
}

/** Makes an algorithm that moves `parameters` (one vector), from its beginning or from what `save` gave. */
export type AlgorithmFactory = (parameters: Block, saved?: unknown) => Promise<Algorithm>;

interface HostState {
  readonly parameters: Float64Array;
  readonly state: ReturnType<Optimizer['init']>;
}

/** A pure optimizer as an algorithm. */
export function onHost(optimizer: Optimizer): AlgorithmFactory {
  return async (block, saved) => {
    let now = saved as HostState | undefined;
    if (!now) {
      const parameters = await block.readFloat64();
      now = { parameters, state: optimizer.init(parameters) };
    }
    let { parameters, state } = now;
    block.write(parameters);
    return {
      async update(gradient) {
        ({ parameters, state } = optimizer.update(state, await gradient.readFloat64(), parameters));
        block.write(parameters);
      },
      save: async () => ({ parameters, state }) satisfies HostState,
      dispose: () => undefined,
    };
  };
}

/** M-FAC as an algorithm. */
export function onDevice(options: MfacOptimizerOptions): AlgorithmFactory {
  return async (block, saved) => {
    const from = saved as { readonly parameters: ArrayLike<number>; readonly state: MfacState } | undefined;
    if (from) block.write(from.parameters);
    const optimizer = new MfacOptimizer(block, options, from?.state);
    return {
      update: (gradient) => optimizer.update(gradient, block),
      save: async () => ({ parameters: await block.read(), state: await optimizer.save() }),
      dispose: () => optimizer.dispose(),
    };
  };
}
