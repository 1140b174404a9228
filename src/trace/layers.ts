/**
 * Layers: parameters with initial values, and the function that uses them. Names and shapes are PyTorch's.
 *
 *   const net = layers.sequential(layers.linear(2, 16), nn.tanh, layers.linear(16, 1));
 *   const model = trace((p, { x }) => net.apply(p, x), { parameters: net.parameters, inputs: { x: [null, 2] } });
 */
import { InputError, ShapeError } from '../base/errors.js';
import { type Node, ops, type Shape } from '../graph/index.js';
import * as nn from './functions.js';
import { type Initialiser, kaimingUniform, normal, ones, xavierUniform, zeros } from './initialisers.js';
import type { ParameterSpec } from './trace.js';

/** Parameters of a layer by name. */
export type ParameterSpecs = Readonly<Record<string, ParameterSpec>>;
/** Values of a layer's parameters by name. */
export type ParameterNodes = Readonly<Record<string, Node>>;

/** What a model is made of. `apply` reads its parameters by the names under which it declared them. */
export interface Layer {
  readonly parameters: ParameterSpecs;
  /** The layer's value at x, for parameters named as in `parameters`. */
  apply(p: ParameterNodes, x: Node): Node;
}

function own(p: ParameterNodes, name: string): Node {
  const node = p[name];
  if (!node)
    throw new InputError(`no parameter '${name}'; pass the layer's own parameters (part(p, 'name') for a child's)`);
  return node;
}
const spec = (shape: Shape, init: Initialiser): ParameterSpec => ({ shape, init });
/** U(±1/√fan_in) */
const linearWeight = kaimingUniform({ gain: Math.sqrt(1 / 3) });

/** Options of layers with a weight and a bias. */
export interface WeightOptions {
  /** default true */
  readonly bias?: boolean | undefined;
  /** of the weight; default U(±1/√fan_in) */
  readonly init?: Initialiser | undefined;
  /** of the bias; default zeros */
  readonly biasInit?: Initialiser | undefined;
}

/** [..., inside] → [..., outside]; parameters weight [outside, inside], bias [outside] */
export function linear(
  inside: number,
  outside: number,
  { bias = true, init = linearWeight, biasInit = zeros }: WeightOptions = {},
): Layer {
  return {
    parameters: { weight: spec([outside, inside], init), ...(bias ? { bias: spec([outside], biasInit) } : {}) },
    apply: (p, x) => nn.linear(x, own(p, 'weight'), bias ? own(p, 'bias') : undefined),
  };
}

/** Options of the layer `conv2d`. */
export type Conv2dOptions = WeightOptions & Omit<nn.ConvOptions, 'bias'>;
/** [n, inside, h, w] → [n, outside, h', w']; parameters weight [outside, inside/groups, kh, kw], bias [outside] */
export function conv2d(
  inside: number,
  outside: number,
  window: number | readonly [number, number],
  options: Conv2dOptions = {},
): Layer {
  const { bias = true, init = linearWeight, biasInit = zeros, groups = 1 } = options;
  if (inside % groups !== 0 || outside % groups !== 0)
    throw new ShapeError(`conv2d: ${inside} and ${outside} channels do not form ${groups} groups`);
  const size = typeof window === 'number' ? [window, window] : window;
  return {
    parameters: {
      weight: spec([outside, inside / groups, ...size], init),
      ...(bias ? { bias: spec([outside], biasInit) } : {}),
    },
    apply: (p, x) => nn.conv2d(x, own(p, 'weight'), { ...options, bias: bias ? own(p, 'bias') : undefined }),
  };
}

/** normalises the last axes, of the extents `shape`; parameters weight and bias of that shape */
export function layerNorm(
  shape: number | Shape,
  { epsilon = 1e-5, bias = true }: { epsilon?: number; bias?: boolean } = {},
): Layer {
  const extents = typeof shape === 'number' ? [shape] : shape;
  return {
    parameters: { weight: spec(extents, ones), ...(bias ? { bias: spec(extents, zeros) } : {}) },
    apply: (p, x) =>
      nn.layerNorm(x, {
        axis: -extents.length,
        epsilon,
        scale: own(p, 'weight'),
        bias: bias ? own(p, 'bias') : undefined,
      }),
  };
}

/** int32 indices [...] → [..., width]; parameter weight [count, width], standard normal by default */
export function embedding(count: number, width: number, { init = normal() }: { init?: Initialiser } = {}): Layer {
  return { parameters: { weight: spec([count, width], init) }, apply: (p, x) => nn.embedding(x, own(p, 'weight')) };
}

/** Options of the layer `batchNorm`. */
export interface BatchNormOptions {
  /** running statistics, one per channel; default mean 0 and variance 1 */
  readonly mean?: ArrayLike<number> | undefined;
  readonly variance?: ArrayLike<number> | undefined;
  readonly epsilon?: number | undefined;
  /** see nn.batchNorm */
  readonly momentum?: number | undefined;
  readonly name?: string | undefined;
}
/** Channels along axis 1; parameters weight and bias [channels]. The statistics are constants, in mode 'train' the batch's own. */
export function batchNorm(channels: number, options: BatchNormOptions = {}): Layer {
  const { mean, variance } = options;
  const statistic = (x: Node, given: ArrayLike<number> | undefined, otherwise: number): Node =>
    given
      ? x.graph.constant(Float64Array.from(given), [channels], x.dtype)
      : x.graph.fill(otherwise, [channels], x.dtype);
  for (const given of [mean, variance]) {
    if (given && given.length !== channels)
      throw new ShapeError(`batchNorm: ${given.length} statistics for ${channels} channels`);
  }
  return {
    parameters: { weight: spec([channels], ones), bias: spec([channels], zeros) },
    apply: (p, x) =>
      nn.batchNorm(x, {
        mean: statistic(x, mean, 0),
        variance: statistic(x, variance, 1),
        scale: own(p, 'weight'),
        bias: own(p, 'bias'),
        epsilon: options.epsilon,
        momentum: options.momentum,
        name: options.name,
      }),
  };
}

/** Options of the layer `multiHeadAttention`. */
export interface MultiHeadAttentionOptions {
  /** a position sees itself and those before; default false */
  readonly causal?: boolean | undefined;
  readonly bias?: boolean | undefined;
}
/**
 * Self-attention [n, time, width] → the same (Vaswani et al. 2017). Parameters as in torch.nn.MultiheadAttention:
 * in_proj_weight [3·width, width], in_proj_bias, out_proj.weight [width, width], out_proj.bias.
 */
export function multiHeadAttention(
  width: number,
  heads: number,
  { causal = false, bias = true }: MultiHeadAttentionOptions = {},
): Layer {
  if (width % heads !== 0)
    throw new ShapeError(`multiHeadAttention: a width of ${width} does not divide into ${heads} heads`);
  return {
    parameters: {
      in_proj_weight: spec([3 * width, width], xavierUniform()),
      ...(bias ? { in_proj_bias: spec([3 * width], zeros) } : {}),
      'out_proj.weight': spec([width, width], linearWeight),
      ...(bias ? { 'out_proj.bias': spec([width], zeros) } : {}),
    },
    apply(p, x) {
      const [n = 0, time = 0] = x.shape;
      if (x.shape.length !== 3)
        throw new ShapeError(`multiHeadAttention: input ${nn.typed(x)} must have the axes [n, time, ${width}]`);
      const packed = nn.linear(x, own(p, 'in_proj_weight'), bias ? own(p, 'in_proj_bias') : undefined);
      const [q, k, v] = [0, 1, 2].map((i) => {
        const part = nn.range(packed, 2, i * width, (i + 1) * width);
        return ops.transpose(ops.reshape(part, [n, time, heads, width / heads]), [0, 2, 1, 3]);
      }) as [Node, Node, Node];
      const seen = nn.scaledDotProductAttention(q, k, v, { causal });
      const joined = ops.reshape(ops.transpose(seen, [0, 2, 1, 3]), [n, time, width]);
      return nn.linear(joined, own(p, 'out_proj.weight'), bias ? own(p, 'out_proj.bias') : undefined);
    },
  };
}

/** The parameters of a child among a parent's: those named `name.…`, without that prefix. */
export function part(p: ParameterNodes, name: string): ParameterNodes {
  const prefix = `${name}.`;
  return Object.fromEntries(
    Object.entries(p).flatMap(([k, v]) => (k.startsWith(prefix) ? [[k.slice(prefix.length), v]] : [])),
  );
}
/** Parameters of several layers in one record, each under its layer's name. */
export function parametersOf(children: Readonly<Record<string, Layer>>): ParameterSpecs {
  return Object.fromEntries(
    Object.entries(children).flatMap(([name, child]) =>
      Object.entries(child.parameters).map(([k, v]) => [`${name}.${k}`, v]),
    ),
  );
}

/** One layer or function after another; parameters are named '0.weight', '1.weight', … as in PyTorch. */
export function sequential(...stages: readonly (Layer | ((x: Node) => Node))[]): Layer {
  const children = Object.fromEntries(stages.flatMap((s, i) => (typeof s === 'function' ? [] : [[String(i), s]])));
  return {
    parameters: parametersOf(children),
    apply: (p, x) =>
      stages.reduce(
        (h, s, i) => within(`stage ${i}`, () => (typeof s === 'function' ? s(h) : s.apply(part(p, String(i)), h))),
        x,
      ),
  };
}
/** says where in the model a mistake lies */
function within<T>(where: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof ShapeError) throw new ShapeError(`${where}: ${error.message}`, { cause: error });
    throw error;
  }
}
