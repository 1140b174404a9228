import { describe, expect, test } from 'vitest';
import * as functions from '../../src/graph/functions.js';
import type { Node } from '../../src/graph/index.js';
import { describe as describeNode, Graph, ops } from '../../src/graph/index.js';
import { gradient, jvp } from '../../src/transform/jvp.js';
import { fewerResiduals, residuals } from '../../src/transform/split.js';

/** residuals of the Hessian product of Σ g(x·w)², all that are as large as x·w */
function large(g: (x: Node) => Node): { all: string[]; kept: string[] } {
  const graph = new Graph();
  const x = graph.input('x', [64, 8], 'float32'),
    w = graph.input('w', [8, 16], 'float32'),
    v = graph.input('v', [8, 16], 'float32');
  const y = g(ops.dot(x, w, 'ij', 'jk', 'ik'));
  const grads = gradient(ops.reduceSum(ops.mul(y, y)), [w]) as Node[];
  const products = jvp(grads, new Map([[w, v]])) as Node[];
  const names = (list: readonly Node[]): string[] =>
    list.filter((n) => n.shape.join() === '64,16').map((n) => describeNode(n).replace(/ .*/, ''));
  return { all: names(residuals(products, [v])), kept: names(fewerResiduals(products, [v]).kept) };
}

describe('residuals that others make in a few operations are not kept', () => {
  test('multiples of one product: the product', () => {
    const { all, kept } = large((u) => ops.mul(ops.mul(u, 0.5), ops.add(ops.erf(ops.mul(u, Math.SQRT1_2)), 1)));
    expect(kept.length).toBeLessThan(all.length);
    expect(kept.filter((n) => n.startsWith('dot')).length).toBeGreaterThan(0);
  });
  test('what a row is scaled by is kept, not the scaled row', () => {
    const { all, kept } = large((u) => functions.layerNorm(u, -1, 1e-5));
    expect(kept.length).toBeLessThan(all.length);
  });
  test('what takes an exponential stays', () => {
    const { kept } = large((u) => ops.exp(u));
    expect(kept.some((n) => n.startsWith('exp'))).toBe(true);
  });
});
