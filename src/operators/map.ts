/**
 * Linear maps between the spaces of an objective, one compiled program per batch:
 *
 *   parameters   θ, the chosen parameters in order                              (shared by all samples)
 *   inputs       floating-point inputs, one after another, each [samples, …]     (a sample's own)
 *   outputs      the model output, [samples, …]                                  (a sample's own)
 *
 * A map to a shared space sums over batches; one to samples' own spaces writes each batch's part. The values that the
 * map is taken at are computed again with every block of vectors, so memory holds one batch of a block at a time.
 */
import { cached } from '../base/cached.js';
import { checkInterrupted, InputError, OutOfMemoryError } from '../base/errors.js';
import { formatBytes } from '../base/format.js';
import type { Block } from '../device/block.js';
import type { LoadedProgram } from '../device/program.js';
import { isFloat, type Node, ops, type Shape, sizeOf } from '../graph/index.js';
import type { BatchGraph } from '../model/batch-graph.js';
import type { Execution } from '../model/execution.js';
import { bytesPerElement } from '../program/format.js';
import { batch } from '../transform/batch.js';
import { type CompiledProgram, compile, type OutputPlacement, type Placement } from '../transform/compile.js';
import { tangentInputs } from '../transform/jvp.js';
import { contiguousStrides } from '../transform/views.js';
import { type ApplyOptions, OperatorBase } from './linear-operator.js';

export type SpaceName = 'parameters' | 'inputs' | 'outputs';

/** A tensor of a space, in the graph of one batch. */
interface Piece {
  readonly node: Node;
  /** where its values start in a vector of the space */
  readonly offset: number;
  /** the samples of the batch that count lie along axis 0 */
  readonly own: boolean;
}
/** From tangents of one space's pieces to those of another's; null where nothing is contributed. */
export type BatchMap = (graph: BatchGraph, tangents: readonly Node[]) => readonly (Node | null)[];

export interface MapParts {
  readonly from: SpaceName;
  readonly to: SpaceName;
  readonly forward: BatchMap;
  readonly adjoint: BatchMap;
  readonly symmetric: boolean;
  readonly scaling: string;
  readonly name: string;
}

/** The values of a space in one batch's graph: what a map is differentiated by. */
export function nodesOf(space: SpaceName, f: BatchGraph): readonly Node[] {
  if (space === 'parameters') return f.parameters;
  if (space === 'outputs') return [f.output];
  return [...f.inputs.values()].filter((x) => isFloat(x.dtype));
}
/** elements of a vector of the space */
function dimensionOf(space: SpaceName, execution: Execution): number {
  const { objective } = execution;
  if (space === 'parameters') return objective.dimension;
  const f = execution.graph(0);
  const nodes = nodesOf(space, f);
  if (nodes.length === 0)
    throw new InputError(`${objective.model.source} has no floating-point input to differentiate by`);
  return nodes.reduce((n, x) => n + objective.samples * (sizeOf(x.shape) / f.samples), 0);
}
function piecesOf(space: SpaceName, execution: Execution, b: number): Piece[] {
  const { objective } = execution;
  const f = execution.graph(b);
  if (space === 'parameters')
    return f.parameters.map((node, i) => ({ node, offset: objective.offsets[i] as number, own: false }));
  let start = 0;
  return nodesOf(space, f).map((node) => {
    const perSample = sizeOf(node.shape) / f.samples;
    const offset = start + b * objective.batchSize * perSample;
    start += objective.samples * perSample;
    return { node, offset, own: true };
  });
}

/** the most vectors that one program takes */
const largestBlock = 16;

export class MapOperator extends OperatorBase {
  readonly execution: Execution;
  readonly #parts: MapParts;
  readonly #programs = new Map<string, LoadedProgram>();

  private constructor(parts: MapParts, execution: Execution, maxBlock: number) {
    super({
      rows: dimensionOf(parts.to, execution),
      columns: dimensionOf(parts.from, execution),
      dtype: execution.dtype,
      device: execution.device,
      symmetric: parts.symmetric,
      scaling: parts.scaling,
      fingerprint: () => `${parts.name}|${execution.fingerprint()}`,
      maxBlock,
    });
    this.#parts = parts;
    this.execution = execution;
  }

  /** @param memory bytes for the scratch of one block; throws OutOfMemoryError where one vector needs more */
  static async create(parts: MapParts, execution: Execution, memory: number): Promise<MapOperator> {
    if (execution.objective.loss.target === null && (parts.from === 'outputs' || parts.to === 'outputs'))
      throw new InputError('a Jacobian needs an output per sample; this model ends in its own loss');
    const [one, two] = [1, 2].map((k) => compileMap(parts, execution, 0, k, false).scratchBytes) as [number, number];
    if (one > memory)
      throw new OutOfMemoryError(
        `a product needs ${formatBytes(one)}, but the budget is ${formatBytes(memory)}; use a smaller batch or more memory`,
      );
    const fits = 1 + Math.floor((memory - one) / Math.max(1, two - one));
    return new MapOperator(parts, execution, Math.max(1, Math.min(largestBlock, fits)));
  }

  protected override multiply(input: Block, output: Block, options: ApplyOptions): Promise<void> {
    return this.#run(input, output, options, false);
  }
  protected override multiplyAdjoint(input: Block, output: Block, options: ApplyOptions): Promise<void> {
    return this.#run(input, output, options, true);
  }

  async #run(input: Block, output: Block, { signal }: ApplyOptions, adjoint: boolean): Promise<void> {
    const { execution } = this;
    output.zero();
    for (let b = 0; b < execution.objective.batches; b++) {
      checkInterrupted(signal);
      await execution.withData(b, (data) => {
        const [from, to] = adjoint ? [this.#parts.to, this.#parts.from] : [this.#parts.from, this.#parts.to];
        const key = `${execution.objective.samplesOf(b)} ${input.count} ${adjoint}`;
        const program = cached(this.#programs, key, () =>
          execution.loadCompiled(compileMap(this.#parts, execution, b, input.count, adjoint)),
        );
        const attached = execution.attachments(program, data);
        const size = bytesPerElement[execution.dtype];
        piecesOf(from, execution, b).forEach(({ offset }, i) => {
          attached.set(`from${i}`, { buffer: input.buffer, byteOffset: input.byteOffset + offset * size });
        });
        piecesOf(to, execution, b).forEach(({ offset }, i) => {
          attached.set(`to${i}`, { buffer: output.buffer, byteOffset: output.byteOffset + offset * size });
        });
        program.run(attached, signal);
      });
    }
  }

  override dispose(): void {
    this.execution.dispose();
  }
}

/** A program for any batch with as many samples as batch b; every piece has a binding of its own, where it starts. */
function compileMap(parts: MapParts, execution: Execution, b: number, k: number, adjoint: boolean): CompiledProgram {
  const graph = execution.graph(b);
  const count = execution.objective.samplesOf(b);
  const [from, to] = adjoint ? [parts.to, parts.from] : [parts.from, parts.to];
  const sources = piecesOf(from, execution, b);
  const targets = piecesOf(to, execution, b);
  const tangents = tangentInputs(
    sources.map((s) => s.node),
    'm',
  );
  const results = (adjoint ? parts.adjoint : parts.forward)(graph, tangents);
  const inputs = new Map<Node, Placement>(graph.places);
  const place = (binding: string, shape: Shape, length: number): Placement => ({
    binding,
    strides: [length, ...contiguousStrides(shape)],
  });
  const [columns, rows] = [dimensionOf(from, execution), dimensionOf(to, execution)];
  const leaves = new Map<Node, Node>();
  sources.forEach((piece, i) => {
    const t = tangents[i] as Node;
    const shape = piece.own ? [count, ...t.shape.slice(1)] : t.shape;
    const block = t.graph.input(`rows${count}x${k}(${t.id})`, [k, ...shape], t.dtype);
    inputs.set(block, place(`from${i}`, shape, columns));
    // padding samples move nowhere
    const missing = block.shape.map((_, a) => (a === 1 && piece.own ? (t.shape[0] as number) - count : 0));
    leaves.set(
      t,
      missing.some((m) => m > 0)
        ? ops.pad(
            block,
            missing.map(() => 0),
            missing,
          )
        : block,
    );
  });
  const live = results.flatMap((node, i) => (node ? [{ node, piece: targets[i] as Piece, at: i }] : []));
  const batched = batch(
    live.map(({ node }) => node),
    leaves,
    k,
  );
  const outputs = batched.map(({ node }, j): OutputPlacement => {
    const { piece, at } = live[j] as { piece: Piece; at: number };
    const shape = piece.own ? [count, ...piece.node.shape.slice(1)] : piece.node.shape;
    const kept =
      node.shape[1] === shape[0] || !piece.own
        ? node
        : ops.slice(
            node,
            node.shape.map(() => 0),
            [k, ...shape],
          );
    return { node: kept, accumulate: true, ...place(`to${at}`, shape, rows) };
  });
  return compile({ inputs, outputs });
}
