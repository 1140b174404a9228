/**
 * The graph: values of a model and of everything derived from it.
 *
 * A node is one application of a primitive to other nodes. Nodes are immutable, know their shape and type, and
 * are created only through `Graph.make`, which returns an existing node where an equal one exists. So equal
 * expressions are one node (common subexpressions never arise), and ids are a topological order.
 */
import type { DType } from '../program/format.js';
import type { Graph } from './graph.js';

export type { DType, FloatDType } from '../program/format.js';
/** Extents, outermost axis first; [] is a scalar. */
export type Shape = readonly number[];
/** Values of a constant node, row-major. */
export type ConstantData = Float64Array | Float32Array | Int32Array | Uint8Array;

/** Geometry shared by the three convolution primitives; see ConvInstruction for the equation. */
export interface ConvAttributes {
  readonly strides: readonly number[];
  readonly padLow: readonly number[];
  readonly dilations: readonly number[];
  readonly groups: number;
}
/**
 * Geometry of sliding windows over the trailing axes; window element q of position p reads p·stride + q·dilation −
 * padLow.
 */
export interface WindowAttributes {
  readonly window: readonly number[];
  readonly strides: readonly number[];
  readonly padLow: readonly number[];
  readonly dilations: readonly number[];
}

export const unaryNames = [
  'neg',
  'abs',
  'sign',
  'exp',
  'expm1',
  'log',
  'log1p',
  'sqrt',
  'rsqrt',
  'reciprocal',
  'sin',
  'cos',
  'tan',
  'asin',
  'acos',
  'atan',
  'sinh',
  'cosh',
  'asinh',
  'acosh',
  'atanh',
  'tanh',
  'sigmoid',
  'softplus',
  'erf',
  'floor',
  'ceil',
  'round',
  'not',
  'isNaN',
  'isInf',
] as const;
export const binaryNames = ['add', 'sub', 'mul', 'div', 'pow', 'max', 'min', 'atan2', 'mod'] as const;
export const compareNames = ['eq', 'ne', 'lt', 'le', 'gt', 'ge', 'and', 'or', 'xor'] as const;
/** Primitives of one value, by elements. */
export type UnaryName = (typeof unaryNames)[number];
/** Primitives of two values of one type, by elements. */
export type BinaryName = (typeof binaryNames)[number];
/** Primitives of two values that give truth values, by elements. */
export type CompareName = (typeof compareNames)[number];

/** The closed set of primitives and what each is parameterised by. */
export type Primitives = { [P in UnaryName | BinaryName | CompareName]: Record<never, never> } & {
  /** a value given from outside; `name` is unique in its graph */
  input: { readonly name: string };
  constant: { readonly data: ConstantData };
  /** one value everywhere */
  fill: { readonly value: number };
  /** 0, 1, 2, … along axis (int32) */
  iota: { readonly axis: number };
  /** condition ? a : b */
  select: Record<never, never>;
  cast: { readonly to: DType };
  /** identity whose derivative is zero */
  stopGradient: Record<never, never>;
  reduceSum: { readonly axes: readonly number[] };
  reduceMax: { readonly axes: readonly number[] };
  reduceMin: { readonly axes: readonly number[] };
  argMax: { readonly axis: number };
  argMin: { readonly axis: number };
  cumsum: { readonly axis: number; readonly exclusive: boolean; readonly reverse: boolean };
  argsort: { readonly axis: number; readonly descending: boolean };
  /** Σ a·b by labels, one per axis: `a: 'mk', b: 'nk', out: 'mn'`. Labels are single characters. */
  dot: { readonly a: string; readonly b: string; readonly out: string };
  /** (x, w) → y with `positions` its spatial shape. Operands have rank 2 + n, or 3 + n with the leading axis k of a block of products. */
  conv: ConvAttributes & { readonly positions: readonly number[] };
  /** (y, w) → x, the adjoint in x; `size` is x's spatial shape */
  convInput: ConvAttributes & { readonly size: readonly number[] };
  /** (x, y) → w, the adjoint in w; `size` is w's spatial shape */
  convWeight: ConvAttributes & { readonly size: readonly number[] };
  /** over trailing spatial axes, any number of leading ones; `positions` is the output's spatial shape */
  windowSum: WindowAttributes & { readonly positions: readonly number[] };
  windowSumTranspose: WindowAttributes & { readonly size: readonly number[] };
  windowArgMax: WindowAttributes & { readonly positions: readonly number[] };
  /** (x, index) → x with `axis` replaced by the axes of index */
  take: { readonly axis: number };
  takeTranspose: { readonly axis: number; readonly size: number; readonly indexRank: number };
  /** (x, index) → like index, picking along `axis` */
  gatherElements: { readonly axis: number };
  scatterElements: { readonly axis: number; readonly size: number };
  reshape: { readonly shape: Shape };
  transpose: { readonly permutation: readonly number[] };
  /** input axis i becomes output axis dims[i]; other output axes repeat; an input extent 1 may grow */
  broadcast: { readonly shape: Shape; readonly dims: readonly number[] };
  slice: { readonly starts: readonly number[]; readonly sizes: readonly number[]; readonly strides: readonly number[] };
  /** zeros: low and high around, `interior` between elements */
  pad: { readonly low: readonly number[]; readonly high: readonly number[]; readonly interior: readonly number[] };
  concat: { readonly axis: number };
  reverse: { readonly axes: readonly number[] };
};
/** The name of a primitive. */
export type PrimitiveName = keyof Primitives;

/** One application of a primitive: immutable, of known shape and type. */
export interface Node<P extends PrimitiveName = PrimitiveName> {
  readonly graph: Graph;
  readonly id: number;
  readonly op: P;
  readonly inputs: readonly Node[];
  readonly attributes: Primitives[P];
  readonly shape: Shape;
  readonly dtype: DType;
}

export const isFloat = (dtype: DType): boolean => dtype === 'float32' || dtype === 'float64';
export const sizeOf = (shape: Shape): number => shape.reduce((n, d) => n * d, 1);
export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((d, i) => d === b[i]);
/** narrows a node to one primitive */
export function isOp<P extends PrimitiveName>(node: Node, op: P): node is Node<P> {
  return (node.op as string) === op;
}
export const describe = (n: Node): string => `${n.op}[${n.shape.join(',')}]${n.dtype}`;
