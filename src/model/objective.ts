/**
 * An objective: the mean loss of a model over data, as a function of some of its parameters. Everything about it that
 * does not depend on a device: which parameters, which samples, how they fall into batches, and what weighs what.
 */
import { toFloat64, toInt32 } from '../base/convert.js';
import { checkInterrupted, InputError, InternalError, ShapeError } from '../base/errors.js';
import { selectByGlobs } from '../base/glob.js';
import type { NdArray } from '../base/ndarray.js';
import type { ArraySpec, Batch, Dataset } from '../data/dataset.js';
import { fitSampleShape } from '../data/index.js';
import { batchesOf, DataSurvey } from '../data/survey.js';
import { targetAsInput } from '../data/target-as-input.js';
import type { BufferUpdate, FloatDType, Node, Shape } from '../graph/index.js';
import { Graph, isFloat, ops, sizeOf } from '../graph/index.js';
import type { BoundLoss, Loss } from './loss.js';
import type { MeanLoss } from './mean-loss.js';
import type { Model, Parameter } from './model.js';
import { type NoiseLeaf, noiseOf } from './noise.js';

/** Which parameters are differentiated. */
export interface ParameterChoice {
  /** patterns of parameters to differentiate (all if none) and to leave out */
  readonly parameters?: readonly string[] | undefined;
  /** left out, whatever `parameters` says */
  readonly freeze?: readonly string[] | undefined;
}

/** The loss of one batch written into a graph. */
export interface Formulation {
  readonly graph: Graph;
  readonly samples: number;
  readonly parameters: readonly Node[];
  readonly inputs: ReadonlyMap<string, Node>;
  readonly target: Node | null;
  /** per sample: 1/(number of all loss terms), 0 for padding */
  readonly weight: Node;
  readonly output: Node;
  readonly bound: BoundLoss;
  /** Σ weight · terms: this batch's share of the mean loss, and of its regularisation */
  readonly loss: Node;
  /** this batch's share of the regularisation, [], the shares of all batches summing to 1; null where nothing reads it */
  readonly share: Node | null;
  /** random numbers of training mode */
  readonly noise: readonly NoiseLeaf[];
  /** buffers that a training step changes */
  readonly updates: readonly BufferUpdate[];
  /** λ times that share; null without regularisation */
  readonly ridge: Node | null;
}

/** What an objective learns from its first pass over the data. */
export interface Survey {
  /** loss terms of every sample, or the sum of their weights; ones for losses without targets */
  readonly counts: Float64Array;
  readonly data: DataSurvey;
}

export class Objective {
  readonly model: Model;
  readonly loss: Loss;
  readonly data: Dataset;
  readonly samples: number;
  readonly batchSize: number;
  readonly parameters: readonly Parameter[];
  /** where each parameter starts in a vector of all of them */
  readonly offsets: readonly number[];
  readonly dimension: number;
  /** whether batches whose samples influence one another count each on its own */
  readonly perBatch: boolean;
  /** λ of (λ/2)‖θ‖² */
  readonly l2: number;
  /** the value the loss reads, or that is the loss */
  readonly #output: string;
  /** for a model that ends in its loss: what Gauss–Newton takes for the output */
  readonly #inner: string | undefined;
  readonly #inputs: ReadonlyMap<string, InputArray>;
  #survey: Promise<Survey> | undefined;

  constructor(
    { model, loss, data, samples, batchSize, output, l2 = 0, batchCoupled = 'refuse' }: MeanLoss,
    choice: ParameterChoice = {},
  ) {
    this.model = model;
    this.loss = loss;
    if (!(l2 >= 0 && Number.isFinite(l2))) throw new InputError(`l2 must be a finite number of at least 0, not ${l2}`);
    this.l2 = l2;
    if (batchCoupled !== 'refuse' && batchCoupled !== 'per-batch')
      throw new InputError(`batchCoupled must be refuse or per-batch, not ${String(batchCoupled)}`);
    this.perBatch = batchCoupled === 'per-batch';
    // A model that ends in its own loss takes the targets as an input.
    const asInput = loss.target === null && data.target && model.inputs.some((i) => i.name === 'target');
    this.data = asInput ? targetAsInput(data) : data;
    const chosen = new Set(
      selectByGlobs(
        model.parameters.map((p) => p.name),
        choice.parameters ?? [],
        choice.freeze ?? [],
        'parameter',
      ),
    );
    this.parameters = model.parameters.filter((p) => chosen.has(p.name));
    if (this.parameters.length === 0)
      throw new InputError(`${model.source} has no parameter to differentiate; see hessia info`);
    let dimension = 0;
    this.offsets = this.parameters.map((p) => {
      const at = dimension;
      dimension += sizeOf(p.shape);
      return at;
    });
    this.dimension = dimension;
    this.samples = takeSamples(samples, data.samples);
    this.batchSize = chooseBatch(batchSize, model, this.samples);
    const scalar = loss.target === null;
    if (this.perBatch && model.fixedBatch !== null && this.samples % model.fixedBatch !== 0)
      throw new InputError(
        `${model.source} takes batches of ${model.fixedBatch} alone, and per-batch means that none is filled up; choose a multiple of ${model.fixedBatch} samples, not ${this.samples}`,
      );
    this.#output = chooseOutput(model, scalar ? undefined : output);
    this.#inner = scalar ? output : undefined;
    this.#inputs = matchInputs(model, this.data);
    if (loss.target !== null && !data.target)
      throw new InputError(
        `the loss ${loss.name} needs targets: add an array named 'target' to the data, or give --target`,
      );
  }

  /** Equal for equal functions: same model, data, loss and parameters, whatever the batches. */
  fingerprint({ data }: Survey): string {
    const { model, loss, samples, parameters } = this;
    const names = parameters.map((p) => p.name);
    const parts = [
      model.fingerprint,
      data.fingerprint,
      loss.name,
      loss.detail,
      this.l2,
      samples,
      this.#output,
      this.#inner,
      names,
      model.mode ?? 'eval',
      this.perBatch ? `batches of ${this.batchSize}` : '',
    ];
    return parts.join('|');
  }
  get batches(): number {
    return Math.ceil(this.samples / this.batchSize);
  }
  /** whether a short last batch is filled up with zero-weight samples */
  get pads(): boolean {
    return this.loss.target !== null && !this.perBatch;
  }
  samplesOf(batch: number): number {
    return Math.min(this.batchSize, this.samples - batch * this.batchSize);
  }
  dataName(input: string): string {
    return (this.#inputs.get(input) as InputArray).name;
  }

  /** The loss of a batch of `samples` (padding included), in a graph of its own. */
  formulate(samples: number, dtype: FloatDType): Formulation {
    const graph = new Graph();
    const inputs = new Map<string, Node>();
    for (const input of this.model.inputs) {
      const { shape } = this.#inputs.get(input.name) as InputArray;
      inputs.set(
        input.name,
        graph.input(`data/${input.name}`, [samples, ...shape], isFloat(input.dtype) ? dtype : input.dtype),
      );
    }
    const parameters = this.parameters.map((p) => graph.input(`parameter/${p.name}`, p.shape, dtype));
    const named = new Map(this.parameters.map((p, i) => [p.name, parameters[i] as Node]));
    const also = this.#inner === undefined ? [] : [this.#inner];
    const values = this.model.build({ graph, dtype, inputs, parameters: named, also });
    const trained = {
      noise: noiseOf(graph, samples, inputs.values(), this.model.source),
      updates: graph.training?.updates ?? [],
    };
    const output = values.get(this.#output);
    if (!output) throw new InputError(`${this.model.source} has no output '${this.#output}'`);
    if (!isFloat(output.dtype))
      throw new InputError(`output '${this.#output}' is ${output.dtype}, which has no derivative`);
    if (this.loss.target === null) {
      const inner = this.#inner === undefined ? output : values.get(this.#inner);
      if (!inner) throw new InputError(`${this.model.source} has no value '${this.#inner}'`);
      return { ...this.#scalar({ graph, samples, parameters, inputs, output, ...trained }), output: inner };
    }
    if (output.shape[0] !== samples)
      throw new ShapeError(
        `output '${this.#output}' of shape [${output.shape}] does not count the ${samples} samples of a batch along axis 0`,
      );
    const spec = this.data.target as ArraySpec;
    const target = graph.input(
      'target',
      targetShape(this.loss, samples, spec.sampleShape, output.shape),
      this.loss.target === 'int32' ? 'int32' : dtype,
    );
    const bound = this.loss.bind(output.shape, target.shape);
    const weight = graph.input('weight', [samples], dtype);
    const loss = ops.reduceSum(ops.mul(weight, bound.terms(output, target)));
    const share = this.l2 === 0 ? null : graph.input('share', [], dtype);
    return this.#regularised(
      { graph, samples, parameters, inputs, target, weight, output, bound, loss, share, ...trained, ridge: null },
      share,
    );
  }

  #scalar(
    written: Pick<Formulation, 'graph' | 'samples' | 'parameters' | 'inputs' | 'output' | 'noise' | 'updates'>,
  ): Formulation {
    const { graph, output } = written;
    if (sizeOf(output.shape) !== 1)
      throw new ShapeError(`--loss output needs a scalar output, but '${this.#output}' has shape [${output.shape}]`);
    const weight = graph.input('weight', [], output.dtype);
    const bound = this.loss.bind(output.shape, []);
    const loss = ops.mul(weight, ops.reshape(output, []));
    return this.#regularised({ ...written, target: null, weight, bound, loss, share: null, ridge: null }, weight);
  }

  /** with this share of (λ/2)‖θ‖² */
  #regularised(f: Formulation, share: Node | null): Formulation {
    if (this.l2 === 0 || !share) return f;
    const ridge = ops.mul(this.l2, share);
    const squares = f.parameters.map((p) => ops.reduceSum(ops.mul(p, p))).reduce((a, b) => ops.add(a, b));
    return { ...f, ridge, loss: ops.add(f.loss, ops.mul(0.5, ops.mul(ridge, squares))) };
  }

  /** One pass over the data, whoever asks first, whose signal stops it. Refuses bad targets. */
  survey(signal?: AbortSignal): Promise<Survey> {
    this.#survey ??= this.#look(signal);
    return this.#survey;
  }
  async #look(signal: AbortSignal | undefined): Promise<Survey> {
    const counts = new Float64Array(this.samples).fill(1);
    const data = new DataSurvey(this.data, this.samples);
    const count = this.loss.target === null ? undefined : this.#counter();
    for await (const { batch, start } of batchesOf(this.data, this.samples, this.batchSize)) {
      checkInterrupted(signal);
      data.add(batch, start);
      count?.(batch, counts, start);
    }
    if (!counts.some((c) => c > 0)) throw new InputError(`every target is ignored, so the mean loss has no terms`);
    return { counts, data };
  }
  /** writes the loss terms of a batch's samples */
  #counter(): (batch: Batch, counts: Float64Array, start: number) => void {
    const { bound, target } = this.formulate(this.pads ? this.batchSize : this.samplesOf(0), 'float32');
    const perSample = sizeOf((target as Node).shape.slice(1));
    return ({ target: array }, counts, start) => {
      if (!array) throw new InternalError('the data gave no targets');
      const values = this.targets(array, (row) => start + row);
      for (let i = 0; i * perSample < values.length; i++) {
        const own = values.subarray(i * perSample, (i + 1) * perSample);
        own.forEach((v) => {
          const wrong = bound.check(v);
          if (wrong) throw new InputError(`target of sample ${start + i}: ${wrong}`);
        });
        counts[start + i] = bound.count(own);
      }
    };
  }

  /** Targets as the loss takes them; `sampleOf` numbers the rows for messages. */
  targets(array: NdArray, sampleOf: (row: number) => number): Float64Array | Int32Array {
    if (this.loss.target !== 'int32') return toFloat64(array);
    const perSample = array.data.length / (array.shape[0] ?? 1);
    return toInt32(array, (i) => `target of sample ${sampleOf(Math.floor(i / perSample))}`);
  }
}

function takeSamples(wanted: number | undefined, there: number): number {
  if (wanted === undefined) return there;
  if (!Number.isInteger(wanted) || wanted < 1)
    throw new InputError(`the number of samples must be a whole number of at least 1, got ${wanted}`);
  if (wanted > there) throw new InputError(`${wanted} samples were asked for, but the data holds ${there}`);
  return wanted;
}
function chooseBatch(wanted: number | undefined, model: Model, samples: number): number {
  if (wanted !== undefined && (!Number.isInteger(wanted) || wanted < 1))
    throw new InputError(`the batch size must be a whole number of at least 1, got ${wanted}`);
  // A file that is tied to its batch size runs at that size, filled up with zero-weight samples.
  if (model.fixedBatch !== null) return model.fixedBatch;
  return Math.min(wanted ?? 256, samples);
}
function chooseOutput(model: Model, wanted: string | undefined): string {
  const names = model.outputs.map((o) => o.name);
  if (wanted !== undefined) {
    if (!names.includes(wanted))
      throw new InputError(`${model.source} has no output '${wanted}'; it has ${names.join(', ')}`);
    return wanted;
  }
  const first = names[0];
  if (first === undefined) throw new InputError(`${model.source} has no output`);
  return first;
}
/** The array of the data that serves an input, and the shape a sample of it takes there. */
interface InputArray {
  readonly name: string;
  readonly shape: Shape;
}
/** one input takes the only array there is, whatever its name */
function matchInputs(model: Model, data: Dataset): Map<string, InputArray> {
  const there = [...data.inputs.keys()];
  const found = new Map<string, InputArray>();
  for (const input of model.inputs) {
    const only = model.inputs.length === 1 && there.length === 1 ? there[0] : undefined;
    const name = there.includes(input.name) ? input.name : only;
    if (name === undefined)
      throw new InputError(
        `the model's input '${input.name}' is not in the data, which has ${there.map((n) => `'${n}'`).join(', ') || 'no arrays'}`,
      );
    const spec = data.inputs.get(name) as ArraySpec;
    const wanted = input.shape.slice(1);
    const shape = fitSampleShape(spec.sampleShape, wanted);
    if (!shape)
      throw new ShapeError(
        `input '${input.name}' wants samples of shape [${wanted.map((d) => d ?? '?')}], the data's '${name}' has [${spec.sampleShape}]`,
      );
    found.set(input.name, { name, shape });
  }
  return found;
}
/** Axes of extent 1 may be missing or too many: class targets of shape [n, 1] or [n, 1, h, w], values of shape [n] or [n, 1]. */
function targetShape(loss: Loss, samples: number, sample: Shape, output: Shape): Shape {
  if (loss.target === 'float') return [samples, ...(fitSampleShape(sample, output.slice(1)) ?? sample)];
  // classes take one axis of the output, so that a target of as many axes has one that says nothing
  const spare = sample.length === output.length - 1 ? sample.indexOf(1) : -1;
  return [samples, ...sample.filter((_, i) => i !== spare)];
}
