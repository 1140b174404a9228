/**
 * Recurrent, Hugging Face, convolutional and vision networks as both exporters of PyTorch write them: outputs against
 * onnxruntime, gradients and Hessian products against PyTorch in float64; see fixtures/exports.py and architectures.py.
 */
import { describe, expect, test } from 'vitest';
import { evaluate } from '../../src/graph/evaluate.js';
import * as f from '../../src/graph/functions.js';
import { Graph, type Node, ops } from '../../src/graph/index.js';
import { gradient, jvp } from '../../src/transform/jvp.js';
import { ofKind, packedModel, readPacked } from './packed.js';
import { difference, runModel } from './run.js';

/** tables that PyTorch does not train; in a file they look like parameters (`--freeze` takes them out) */
const tables = ['model.model.rotary_emb.inv_freq', 'model.embed_positions.weight', 'layers.0.blocks.1.attn_mask'];
/** these hold constants (scales, square roots, the sixths of HardSigmoid) that the file rounds to float32, at a relative 2^-24 each */
const tolerance = (name: string): number =>
  /^(bert|gpt2|llama|whisper|fused|mobilenet)/.test(name) ? 64 * 2 ** -24 : 1e-10;

const networks = new Map([...(await readPacked('exports.npz')), ...(await readPacked('architectures.npz'))]);
const files = [...networks.keys()].filter((name) => networks.get(name)!.has('model'));

describe.each(files)('%s', (name) => {
  // architectures.npz holds products once for the files of both exporters
  const arrays = new Map([...(networks.get(name.replace(/-\w+$/, '')) ?? []), ...networks.get(name)!]);
  const model = packedModel(name, arrays);
  const trained = model.parameters.filter((p) => !tables.includes(p.name));

  test('has every parameter of PyTorch by its name', () => {
    expect(model.unsupported).toEqual([]);
    expect(trained.map((p) => p.name).sort()).toEqual([...ofKind(arrays, 'gradient').keys()].sort());
    expect(model.fixedBatch).toBeNull();
    expect(model.warnings).toEqual([]);
  });

  test('computes what onnxruntime computes', () => {
    const found = runModel(model, ofKind(arrays, 'in'), { dtype: 'float32', parameters: 'inputs' });
    for (const [output, expected] of ofKind(arrays, 'out')) {
      expect(found.get(output)!.shape).toEqual(expected.shape);
      // sums of at most 64 terms through at most 40 layers, each rounded to 2^-24
      expect(difference(found.get(output)!.data, expected.data as Float32Array)).toBeLessThan(40 * 8 * 2 ** -24);
    }
  });

  test('has the gradient and Hessian of PyTorch', () => {
    const graph = new Graph();
    const values = new Map<Node, ArrayLike<number>>();
    const given = (label: string, shape: readonly number[], dtype: Node['dtype'], data: ArrayLike<number>): Node => {
      const node = graph.input(label, shape, dtype);
      values.set(node, data);
      return node;
    };
    const numbers = (data: ArrayLike<number | bigint>): number[] => Array.from(data, Number);
    const inputs = new Map(
      model.inputs.map((i) => {
        const { shape, data } = ofKind(arrays, 'in').get(i.name)!;
        return [i.name, given(i.name, shape, i.dtype === 'float32' ? 'float64' : i.dtype, numbers(data))] as const;
      }),
    );
    const leaves = trained.map((p) => given(`parameter ${p.name}`, p.shape, 'float64', p.values()));
    const vectors = new Map(
      trained.map((p, i) => {
        const { data } = ofKind(arrays, 'vector').get(p.name)!;
        return [leaves[i] as Node, given(`vector ${p.name}`, p.shape, 'float64', numbers(data))] as const;
      }),
    );
    const parameters = new Map(trained.map((p, i) => [p.name, leaves[i] as Node] as const));
    const [y] = model.build({ graph, dtype: 'float64', inputs, parameters }).values();
    const first = gradient(f.mean(f.square(y as Node)), leaves).map((g, i) => g ?? ops.zerosLike(leaves[i]!));
    const second = jvp(first, vectors).map((h, i) => h ?? ops.zerosLike(leaves[i]!));
    const found = evaluate([...first, ...second], values);
    const all = (what: string): number[] => trained.flatMap((p) => numbers(ofKind(arrays, what).get(p.name)!.data));
    const flat = (parts: typeof found): number[] => parts.flatMap((part) => Array.from(part));
    expect(difference(flat(found.slice(0, first.length)), all('gradient'))).toBeLessThan(tolerance(name));
    expect(difference(flat(found.slice(first.length)), all('hessian'))).toBeLessThan(tolerance(name));
  });
});
