/**
 * First and second derivatives with respect to parameters, inputs or both, as operators. With z the model output over
 * all samples (N × outputs, sample after sample) and f the mean loss:
 *
 *   jacobian            J = ∂z/∂θ              rectangular; 2 forward passes a product, adjoint 3
 *   inputJacobian       ∂z/∂x                  block diagonal, a block per sample
 *   neuralTangentKernel J Jᵀ (Jacot, Gabriel and Hongler 2018), over outputs of all samples
 *   inputHessian        ∂²f/∂x²                block diagonal where samples do not influence one another
 *   mixedHessian        ∂²f/∂θ∂x               rows parameters, columns inputs
 *   gradientCovariance  (1/N)Σ ∇ℓₙ∇ℓₙᵀ − ḡḡᵀ, ḡ = (1/N)Σ ∇ℓₙ, ℓₙ the loss on sample n alone
 *
 * Inputs are those of floating point, one after another in the model's order, each over all samples.
 */
import { checkInterrupted, InputError } from '../base/errors.js';
import type { Block } from '../device/block.js';
import type { Node } from '../graph/index.js';
import { ops } from '../graph/index.js';
import type { BatchGraph } from '../model/batch-graph.js';
import type { Execution } from '../model/execution.js';
import type { MeanLoss } from '../model/mean-loss.js';
import { gradient, jvp, vjp } from '../transform/jvp.js';
import { compose, sum, transpose } from './algebra.js';
import { type CurvatureOptions, empiricalFisher, execute, memoryBudget } from './create.js';
import { type ApplyOptions, type LinearOperator, OperatorBase } from './linear-operator.js';
import { type BatchMap, MapOperator, type MapParts, nodesOf, type SpaceName } from './map.js';

async function open(parts: MapParts, f: MeanLoss, options: CurvatureOptions): Promise<MapOperator> {
  const memory = memoryBudget(options.memory);
  const execution = await execute(f, { ...options, memory });
  try {
    return await MapOperator.create(parts, execution, 0.7 * memory);
  } catch (error) {
    execution.dispose();
    throw error;
  }
}
const along = (nodes: readonly Node[], tangents: readonly Node[]): Map<Node, Node> =>
  new Map(nodes.map((x, i) => [x, tangents[i] as Node]));

function firstDerivative(name: string, from: SpaceName, scaling: string): MapParts {
  return {
    name,
    from,
    to: 'outputs',
    symmetric: false,
    scaling,
    forward: (f, tangents) => jvp([f.output], along(nodesOf(from, f), tangents)),
    adjoint: (f, cotangents) => vjp([f.output], cotangents, nodesOf(from, f)),
  };
}
/** J = ∂z/∂θ: rows are outputs of all samples, columns parameters. `applyAdjoint` gives Jᵀ·c. */
export const jacobian = (f: MeanLoss, options: CurvatureOptions = {}): Promise<LinearOperator> =>
  open(firstDerivative('jacobian', 'parameters', 'outputs of all samples'), f, options);
/** ∂z/∂x: rows are outputs of all samples, columns inputs of all samples. */
export const inputJacobian = (f: MeanLoss, options: CurvatureOptions = {}): Promise<LinearOperator> =>
  open(firstDerivative('input-jacobian', 'inputs', 'outputs of all samples'), f, options);

/** an operator that owns the parts it is made of */
class Owner extends OperatorBase {
  readonly #inner: LinearOperator;
  readonly #owned: readonly { dispose(): void }[];
  constructor(inner: LinearOperator, owned: readonly { dispose(): void }[], scaling = inner.scaling) {
    super({ ...traitsOf(inner), scaling });
    this.#inner = inner;
    this.#owned = owned;
  }
  protected override async multiply(input: Block, output: Block, options: ApplyOptions): Promise<void> {
    await this.#inner.apply(input, output, options);
  }
  override dispose(): void {
    for (const part of this.#owned) part.dispose();
  }
}
const traitsOf = (a: LinearOperator) => ({
  rows: a.rows,
  columns: a.columns,
  dtype: a.dtype,
  device: a.device,
  symmetric: a.symmetric,
  positiveSemidefinite: a.positiveSemidefinite,
  fingerprint: a.fingerprint,
  maxBlock: a.maxBlock,
});

/** K = J Jᵀ over the outputs of all samples, positive semidefinite. A product costs one with Jᵀ and one with J. */
export async function neuralTangentKernel(f: MeanLoss, options: CurvatureOptions = {}): Promise<LinearOperator> {
  const J = await jacobian(f, options);
  const kernel = compose([J, transpose(J)], { symmetric: true, positiveSemidefinite: true });
  return new Owner(kernel, [J], 'outputs of all samples');
}

/** (∂²f/∂to∂from)·v = ∂/∂to of the gradient's directional derivative */
const secondDerivative =
  (from: SpaceName, to: SpaceName): BatchMap =>
  (f: BatchGraph, tangents) => {
    const gradients = gradient(f.loss, nodesOf(to, f));
    const live = gradients.filter((g): g is Node => g !== null);
    const moved = jvp(live, along(nodesOf(from, f), tangents));
    let next = 0;
    return gradients.map((g) => (g ? (moved[next++] ?? null) : null));
  };
const hessianBetween = (name: string, from: SpaceName, to: SpaceName): MapParts => ({
  name,
  from,
  to,
  symmetric: from === to,
  scaling: 'mean loss',
  forward: secondDerivative(from, to),
  adjoint: secondDerivative(to, from),
});
/** ∂²f/∂x² of the mean loss at the inputs of all samples (each sample's block carries the mean's 1/N). */
export const inputHessian = (f: MeanLoss, options: CurvatureOptions = {}): Promise<LinearOperator> =>
  open(hessianBetween('input-hessian', 'inputs', 'inputs'), f, options);
/** ∂²f/∂θ∂x: how the gradient moves with the inputs. `applyAdjoint` takes parameters to inputs. */
export const mixedHessian = (f: MeanLoss, options: CurvatureOptions = {}): Promise<LinearOperator> =>
  open(hessianBetween('mixed-hessian', 'inputs', 'parameters'), f, options);

/** g gᵀ of one vector, which it owns */
class OuterProduct extends OperatorBase {
  readonly #g: Block;
  constructor(g: Block) {
    super({
      rows: g.dimension,
      columns: g.dimension,
      dtype: g.dtype,
      device: g.device,
      symmetric: true,
      positiveSemidefinite: true,
    });
    this.#g = g;
  }
  protected override async multiply(input: Block, output: Block): Promise<void> {
    output.combine(await input.gram(this.#g), this.#g);
  }
  override dispose(): void {
    this.#g.dispose();
  }
}

/** ḡ = (1/N) Σₙ ∇ℓₙ as one vector */
async function meanSampleGradient(execution: Execution, signal: AbortSignal | undefined): Promise<Block> {
  const { device, dtype, objective } = execution;
  const g = device.block(dtype, objective.dimension, 1);
  g.zero();
  for (let b = 0; b < objective.batches; b++) {
    checkInterrupted(signal);
    await execution.withData(b, async (data) => {
      const f = execution.graph(b);
      if (!f.target)
        throw new InputError('the gradient covariance needs a loss over samples; with the loss output there is none');
      const total = ops.reduceSum(ops.mul(f.own, f.bound.terms(f.output, f.target)));
      // repeated samples that fill up the last batch have own = 0
      const mean = ops.mul(1 / objective.samples, total);
      const program = execution.load(
        f,
        new Map(),
        gradient(mean, f.parameters).flatMap((node, i) =>
          node ? [{ node, binding: 'results', offset: objective.offsets[i] as number, accumulate: true }] : [],
        ),
      );
      const attached = execution.attachments(program, data);
      attached.set('results', { buffer: g.buffer, byteOffset: g.byteOffset });
      program.run(attached, signal);
    });
  }
  return g;
}

/** The covariance of the per-sample gradients: the empirical Fisher less ḡḡᵀ; positive semidefinite to rounding. */
export async function gradientCovariance(f: MeanLoss, options: CurvatureOptions = {}): Promise<LinearOperator> {
  const fisher = await empiricalFisher(f, options);
  try {
    const outer = new OuterProduct(await meanSampleGradient(fisher.execution, options.signal));
    return new Owner(sum([fisher, outer], [1, -1]), [outer, fisher], fisher.scaling);
  } catch (error) {
    fisher.dispose();
    throw error;
  }
}
