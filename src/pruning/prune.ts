/**
 * Pruning: choose weights by a method's scores, remove them, let the others make up for it; in geometric steps with the
 * scores computed anew, and in a gradual run with training under the mask after each of several events.
 */
import { checkInterrupted, InputError } from '../base/errors.js';
import type { NdArray } from '../base/ndarray.js';
import type { MeanLoss } from '../model/mean-loss.js';
import { parameterArrays, withParameters } from '../model/with-parameters.js';
import type { CurvatureOptions } from '../operators/create.js';
import { type Evaluation, evaluate } from '../operators/evaluation.js';
import type { AlgorithmFactory } from '../training/algorithm.js';
import { train } from '../training/train.js';
import { dimensionOf, type PrunedLayer, prunedLayers } from './layers.js';
import { masked } from './mask.js';
import type { PruningMethod, PruningPoint, Scorer } from './method.js';
import { type Candidates, candidates, parsePattern, patternText } from './pattern.js';
import { checkSparsity, geometricSparsity, gradualSparsity } from './schedule.js';
import { type Scope, select, targetsOf } from './select.js';

/** Training under the mask. */
export interface FineTuning {
  /** passes over the calibration data after each event */
  readonly epochs: number;
  /** a fresh one for each event */
  readonly algorithm: AlgorithmFactory;
}

/** Options of `prune`. */
export interface PruneOptions extends Omit<CurvatureOptions, 'block' | 'fisherSamples'> {
  readonly method: PruningMethod;
  /** share of the weights that goes, in [0, 1); several: each from the start. N:M fixes it */
  readonly sparsity?: number | readonly number[] | undefined;
  /** 'unstructured', 'N:M', 'RxC' or 'filter'. Default 'unstructured' */
  readonly pattern?: string | undefined;
  /** whether layers compete, or each is pruned alike. Default 'global' */
  readonly scope?: Scope | undefined;
  /** scores computed anew, what is kept shrinking by the same factor each time. Default 16 */
  readonly steps?: number | undefined;
  /** removals, each followed by fine-tuning, at sparsities that rise by a cubic. Default 1 */
  readonly events?: number | undefined;
  /** of the first of several events. Default 0.05, or the sparsity where that is smaller */
  readonly initialSparsity?: number | undefined;
  readonly fineTuning?: FineTuning | undefined;
  /** what `before` and `after` are measured on. Default: the calibration data */
  readonly test?: MeanLoss | undefined;
  readonly signal?: AbortSignal | undefined;
  /** after each of `total` parts of a stage */
  readonly onProgress?: ((progress: PruneProgress) => void) | undefined;
}

/** How far a pruning run is. */
export interface PruneProgress {
  readonly sparsity: number;
  readonly stage: 'scores' | 'fine-tuning';
  readonly done: number;
  readonly total: number;
}

/** What went of one tensor. */
export interface PrunedLayerResult {
  readonly name: string;
  readonly shape: readonly number[];
  readonly count: number;
  readonly removed: number;
  readonly sparsity: number;
  /** see Update.increase */
  readonly predictedIncrease: number | null;
}

/** What `prune` gives for one sparsity. */
export interface PruneResult {
  readonly method: string;
  readonly pattern: string;
  /** removed/count over all layers */
  readonly sparsity: number;
  readonly before: Evaluation;
  readonly after: Evaluation;
  /** of the loss on the calibration data by the removals, as the method predicts it (null: it does not) … */
  readonly predictedIncrease: number | null;
  /** … and as measured, before any fine-tuning: sums over the events */
  readonly measuredIncrease: number;
  readonly layers: readonly PrunedLayerResult[];
  /** all parameters by name, as `writeOnnx` takes them */
  readonly values: Readonly<Record<string, Float64Array>>;
  /** 1 kept, 0 removed, by name of the pruned parameters */
  readonly masks: Readonly<Record<string, Uint8Array>>;
  readonly seconds: number;
}

/** What changes in the course of a run. */
interface State {
  readonly f: MeanLoss;
  readonly weights: Float64Array;
  readonly kept: Uint8Array;
}

/**
 * Prunes the model of `f` on its data. One result for each sparsity, all from the model's own values. Throws InputError
 * for options that make no sense, ComputationError where gradients or losses are not finite.
 */
export async function prune(f: MeanLoss, options: PruneOptions): Promise<PruneResult[]> {
  const run = new Run(f, options);
  const before = await run.measure(f);
  const calibration = options.test ? (await run.calibrate(f)).loss : before.loss;
  const results: PruneResult[] = [];
  // with one step from one point, the scores serve every sparsity
  const shared = run.steps === 1 && run.events === 1 && run.sparsities.length > 1 ? await run.open(run.start, 0) : null;
  try {
    const scores = shared && !shared.choose ? await shared.score(run.groups) : null;
    for (const sparsity of run.sparsities)
      results.push(await run.prune(sparsity, before, calibration, shared && { scorer: shared, scores }));
  } finally {
    await shared?.[Symbol.asyncDispose]();
  }
  return results;
}

interface Opened {
  readonly scorer: Scorer;
  readonly scores: Float64Array | null;
}

class Run {
  readonly layers: readonly PrunedLayer[];
  readonly groups: Candidates;
  readonly pattern: string;
  readonly sparsities: readonly number[];
  readonly steps: number;
  readonly events: number;
  readonly start: State;
  readonly #options: PruneOptions;
  readonly #execution: PruningPoint['execution'];

  constructor(f: MeanLoss, options: PruneOptions) {
    this.#options = options;
    const { device, threads, dtype, memory, steps = 16, events = 1, fineTuning, initialSparsity } = options;
    this.#execution = { device, threads, dtype, memory };
    for (const [what, value] of [
      ['steps', steps],
      ['events', events],
      ['epochs of fine-tuning', fineTuning?.epochs ?? 1],
    ] as const)
      if (!Number.isSafeInteger(value) || value < 1)
        throw new InputError(`the number of ${what} must be a whole number of at least 1, not ${value}`);
    if (events > 1 && !fineTuning)
      throw new InputError('several events need fine-tuning between them; for one-shot pruning give steps');
    if (initialSparsity !== undefined) checkSparsity(initialSparsity, 'the initial sparsity');
    const pattern = parsePattern(options.pattern ?? 'unstructured');
    this.pattern = patternText(pattern);
    const wanted = typeof options.sparsity === 'number' ? [options.sparsity] : [...(options.sparsity ?? [])];
    for (const s of wanted) checkSparsity(s);
    if (pattern.kind === 'n:m') {
      const own = 1 - pattern.keep / pattern.of;
      if (wanted.some((s) => Math.abs(s - own) > 1e-9))
        throw new InputError(
          `the pattern ${this.pattern} has sparsity ${own}, not ${wanted.join(', ')}; leave the sparsity out`,
        );
      wanted.splice(0, wanted.length, own);
    }
    if (wanted.length === 0) throw new InputError('give a sparsity of at least 0 and below 1');
    this.sparsities = wanted;
    this.steps = options.method.oneStep ? 1 : steps;
    this.events = events;
    this.layers = prunedLayers(f, options);
    this.groups = candidates(this.layers, pattern);
    this.start = { f, weights: this.#weightsOf(f), kept: new Uint8Array(dimensionOf(this.layers)).fill(1) };
  }

  measure(f: MeanLoss): Promise<Evaluation> {
    const { test, signal } = this.#options;
    return evaluate(test ? { ...test, model: f.model } : f, { ...this.#execution, signal });
  }
  calibrate(f: MeanLoss): Promise<Evaluation> {
    return evaluate(f, { ...this.#execution, signal: this.#options.signal });
  }

  open({ f, weights, kept }: State, step: number): Promise<Scorer> {
    const { method, seed = 0, signal } = this.#options;
    return method.open({ f, weights, kept, layers: this.layers, step, seed, execution: this.#execution, signal });
  }

  async prune(sparsity: number, before: Evaluation, calibration: number, shared: Opened | null): Promise<PruneResult> {
    const { method, fineTuning, initialSparsity = Math.min(0.05, sparsity) } = this.#options;
    const started = performance.now();
    const increase = new Float64Array(this.layers.length);
    let predicts = true;
    let measured = 0;
    let loss = calibration;
    let state = this.start;
    for (let event = 1; event <= this.events; event++) {
      const from = 1 - share(state.kept);
      const to = this.events === 1 ? sparsity : gradualSparsity(event, this.events, initialSparsity, sparsity);
      for (let step = 1; step <= this.steps; step++) {
        const done = (event - 1) * this.steps + step - 1;
        this.#progress(sparsity, 'scores', done, this.events * this.steps);
        const target = to > from ? geometricSparsity(step, this.steps, from, to) : to;
        const removal = await this.#remove(state, target, done, shared);
        state = removal.state;
        predicts &&= removal.increase !== null;
        removal.increase?.forEach((x, l) => {
          increase[l] = (increase[l] as number) + x;
        });
      }
      const after = (await this.calibrate(state.f)).loss;
      measured += after - loss;
      if (fineTuning) {
        state = await this.#fineTune(state, fineTuning, sparsity);
        if (event < this.events) loss = (await this.calibrate(state.f)).loss;
      }
    }
    return {
      method: method.name,
      pattern: this.pattern,
      sparsity: 1 - share(state.kept),
      before,
      after: await this.measure(state.f),
      predictedIncrease: predicts ? increase.reduce((a, b) => a + b, 0) : null,
      measuredIncrease: measured,
      layers: this.layers.map(({ name, shape, count, offset }, l) => {
        const removed = count - state.kept.subarray(offset, offset + count).reduce((n, k) => n + k, 0);
        const predictedIncrease = predicts ? (increase[l] as number) : null;
        return { name, shape, count, removed, sparsity: removed / count, predictedIncrease };
      }),
      values: Object.fromEntries(state.f.model.parameters.map((p) => [p.name, Float64Array.from(p.values())])),
      masks: Object.fromEntries(
        this.layers.map(({ name, offset, count }) => [name, state.kept.slice(offset, offset + count)]),
      ),
      seconds: (performance.now() - started) / 1000,
    };
  }

  async #remove(
    state: State,
    sparsity: number,
    step: number,
    shared: Opened | null,
  ): Promise<{ state: State; increase: Float64Array | null }> {
    checkInterrupted(this.#options.signal);
    const scorer = shared?.scorer ?? (await this.open(state, step));
    try {
      const targets = targetsOf(this.groups, this.layers.length, sparsity);
      const kept = scorer.choose
        ? await scorer.choose(this.groups, targets.byLayer)
        : select(
            this.groups,
            shared?.scores ?? (await scorer.score(this.groups)),
            state.kept,
            targets,
            this.#options.scope ?? 'global',
          );
      const { weights, increase } = await scorer.update(kept);
      return { state: { f: this.#at(state.f, weights), weights, kept }, increase };
    } finally {
      if (!shared) await scorer[Symbol.asyncDispose]();
    }
  }

  async #fineTune({ f, kept }: State, { epochs, algorithm }: FineTuning, sparsity: number): Promise<State> {
    const { seed, signal } = this.#options;
    const own = new Map(this.layers.map(({ name, offset, count }) => [name, kept.subarray(offset, offset + count)]));
    const mask = f.model.parameters.flatMap((p) => [...(own.get(p.name) ?? new Uint8Array(p.values().length).fill(1))]);
    const { values } = await train(f, {
      ...this.#execution,
      algorithm: masked(algorithm, mask),
      learningRate: () => 0,
      describe: 'fine-tuning',
      epochs,
      seed,
      signal,
      onProgress: ({ step, steps }) => this.#progress(sparsity, 'fine-tuning', step, steps),
    });
    const shapes = parameterArrays(f.model);
    const arrays = new Map(
      Object.entries(values).map(([name, data]): [string, NdArray] => [
        name,
        { dtype: 'float64', shape: shapes.get(name)?.shape ?? [], data },
      ]),
    );
    const tuned = { ...f, model: withParameters(this.start.f.model, arrays) };
    return { f: tuned, weights: this.#weightsOf(tuned), kept };
  }

  #weightsOf({ model }: MeanLoss): Float64Array {
    const out = new Float64Array(dimensionOf(this.layers));
    const values = new Map(model.parameters.map((p) => [p.name, p.values()]));
    for (const { name, offset } of this.layers) out.set(values.get(name) ?? [], offset);
    return out;
  }
  #at(f: MeanLoss, weights: Float64Array): MeanLoss {
    const arrays = parameterArrays(f.model);
    for (const { name, shape, offset, count } of this.layers)
      arrays.set(name, { dtype: 'float64', shape, data: weights.slice(offset, offset + count) });
    return { ...f, model: withParameters(this.start.f.model, arrays) };
  }
  #progress(sparsity: number, stage: PruneProgress['stage'], done: number, total: number): void {
    this.#options.onProgress?.({ sparsity, stage, done, total });
  }
}

const share = (kept: Uint8Array): number => kept.reduce((n, k) => n + k, 0) / kept.length;
