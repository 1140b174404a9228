/**
 * Derivatives as values of the graph, for use inside `trace`: of any order, because their results are differentiable
 * again. A leaf may be a parameter, an input or any value that the function was computed from.
 *
 *   grad   ∂y/∂x            reverse mode: about 3 times y's work
 *   jvp    (∂y/∂x)·v        forward mode: about 2 times
 *   vjp    (∂y/∂x)ᵀ·c       reverse mode
 *   hvp    (∂²y/∂x²)·v      forward over reverse: about 6 times
 */
import { ShapeError } from '../base/errors.js';
import { type Node, ops, sameShape, sizeOf } from '../graph/index.js';
import { gradient, vjp as pullback, jvp as pushforward } from '../transform/jvp.js';
import { typed } from './functions.js';

/** one value, or several in a list */
export type OneOrMany = Node | readonly Node[];
/** as many results as were asked for */
export type Like<T extends OneOrMany> = T extends Node ? Node : Node[];

const list = (x: OneOrMany): readonly Node[] => (Array.isArray(x) ? (x as readonly Node[]) : [x as Node]);
function like<T extends OneOrMany>(x: T, results: readonly Node[]): Like<T> {
  return (Array.isArray(x) ? results : results[0]) as Like<T>;
}
function mustMatch(name: string, what: string, xs: readonly Node[], vs: readonly Node[]): void {
  if (xs.length !== vs.length) throw new ShapeError(`${name}: ${vs.length} ${what}s for ${xs.length} values`);
  xs.forEach((x, i) => {
    const v = vs[i] as Node;
    if (!sameShape(x.shape, v.shape) || x.dtype !== v.dtype)
      throw new ShapeError(`${name}: ${what} ${typed(v)} does not fit ${typed(x)}`);
  });
}
function scalar(name: string, y: Node): void {
  if (sizeOf(y.shape) !== 1) throw new ShapeError(`${name} needs a scalar, got ${typed(y)}; sum it, or use vjp`);
}

/**
 * The gradient of the scalar y with respect to x, shaped like x; zeros where y does not depend on it.
 *
 * For a function that treats samples apart, `grad(reduceSum(u), x)` is ∂u_n/∂x_n for every sample n.
 */
export function grad<T extends OneOrMany>(y: Node, x: T): Like<T> {
  scalar('grad', y);
  const leaves = list(x);
  return like(
    x,
    gradient(y, leaves).map((g, i) => g ?? ops.zerosLike(leaves[i] as Node)),
  );
}

/** The directional derivative of y as x moves along v (shaped like x); shaped like y. */
export function jvp<T extends OneOrMany>(y: T, x: OneOrMany, v: OneOrMany): Like<T> {
  const leaves = list(x);
  const along = list(v);
  mustMatch('jvp', 'tangent', leaves, along);
  const outputs = list(y);
  const moved = pushforward(outputs, new Map(leaves.map((leaf, i) => [leaf, along[i] as Node])));
  return like(
    y,
    moved.map((t, i) => t ?? ops.zerosLike(outputs[i] as Node)),
  );
}

/** The transposed Jacobian of y with respect to x times c (shaped like y); shaped like x. */
export function vjp<T extends OneOrMany>(y: OneOrMany, c: OneOrMany, x: T): Like<T> {
  const outputs = list(y);
  const cotangents = list(c);
  mustMatch('vjp', 'cotangent', outputs, cotangents);
  const leaves = list(x);
  return like(
    x,
    pullback(outputs, cotangents, leaves).map((g, i) => g ?? ops.zerosLike(leaves[i] as Node)),
  );
}

/** The Hessian of the scalar y with respect to x times v (shaped like x); shaped like x. */
export function hvp<T extends OneOrMany>(y: Node, x: T, v: T): Like<T> {
  scalar('hvp', y);
  const leaves = list(x);
  mustMatch('hvp', 'tangent', leaves, list(v));
  return like(x, list(jvp<readonly Node[]>(list(grad<readonly Node[]>(y, leaves)), leaves, list(v))));
}
