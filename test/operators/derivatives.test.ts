/** Jacobian, kernel, covariance, input Hessian and mixed derivatives against dense matrices by central differences. */
import { Matrix } from 'ml-matrix';
import { describe, expect, test } from 'vitest';
import { datasetFromArrays } from '../../src/data/index.js';
import { evaluate } from '../../src/graph/evaluate.js';
import { Graph, type Node } from '../../src/graph/index.js';
import { crossEntropy, outputLoss } from '../../src/model/loss.js';
import { meanLoss } from '../../src/model/mean-loss.js';
import { hessian } from '../../src/operators/create.js';
import { dense, toFunction } from '../../src/operators/dense.js';
import * as make from '../../src/operators/derivatives.js';
import { toOperator } from '../../src/operators/user-operator.js';
import { nn, trace } from '../../src/trace/index.js';
import { differences, error, random } from '../trace/compute.js';

const samples = 5,
  inside = 3,
  extra = 2,
  classes = 3;
// two inputs of different widths, so that their places in a vector of all inputs matter
const model = trace((p, { x, c }) => nn.linear(nn.tanh(nn.linear(nn.concat([x, nn.sin(c)], 1), p.a, p.b)), p.w), {
  parameters: { a: [4, inside + extra], b: [4], w: [classes, 4] },
  inputs: { x: [null, inside], c: [null, extra] },
  seed: 3,
});
const [x, c] = [random(samples * inside, 21), random(samples * extra, 22)];
const labels = [0, 2, 1, 1, 0];
const objective = (batchSize: number) =>
  meanLoss(
    model,
    crossEntropy(),
    datasetFromArrays({
      inputs: {
        x: { data: Float64Array.from(x), shape: [samples, inside] },
        c: { data: Float64Array.from(c), shape: [samples, extra] },
      },
      target: { data: Int32Array.from(labels), shape: [samples] },
    }),
    { batchSize },
  );

/** outputs and per-sample losses by the reference evaluator, without operators and batches */
function reference(theta: ArrayLike<number>, xs: readonly number[]): { outputs: number[]; losses: number[] } {
  const graph = new Graph();
  const moved = model.withVector(theta);
  const leaf = (name: string, shape: number[]): Node => graph.input(name, shape, 'float64');
  const parameters = new Map(
    moved.parameters.map((p) => [p.name, graph.constant(Float64Array.from(p.values()), p.shape, 'float64')]),
  );
  const inputs = new Map([
    ['x', leaf('x', [samples, inside])],
    ['c', leaf('c', [samples, extra])],
  ]);
  const y = moved.build({ graph, dtype: 'float64', inputs, parameters }).get('output') as Node;
  const given = new Map([
    [inputs.get('x') as Node, xs.slice(0, samples * inside)],
    [inputs.get('c') as Node, xs.slice(samples * inside)],
  ]);
  const outputs = Array.from(evaluate([y], given)[0] ?? []);
  const losses = labels.map((t, n) => {
    const z = outputs.slice(n * classes, (n + 1) * classes);
    return Math.log(z.reduce((s, v) => s + Math.exp(v), 0)) - (z[t] as number);
  });
  return { outputs, losses };
}
const theta = model.vector();
const all = [...x, ...c];
const mean = (v: readonly number[]): number => v.reduce((s, a) => s + a, 0) / v.length;
/** columns by differences → row-major matrix */
const matrix = (columns: readonly Float64Array[]): Matrix =>
  new Matrix(columns.map((column) => Array.from(column))).transpose();
const flat = (m: Matrix): number[] => m.to1DArray();
// fourth-order differences of smooth functions of size 1: error about 1e-11, twice about 1e-8
const [once, twice] = [1e-9, 2e-7];

const slope = (t: ArrayLike<number>, v: readonly number[]): number[] =>
  differences((u) => [mean(reference(t, Array.from(u)).losses)], v).map((d) => d[0] as number);
const inputReference = flat(matrix(differences((v) => slope(theta, Array.from(v)), all)));
const mixedReference = flat(matrix(differences((t) => slope(t, all), theta)));

describe.each([5, 2, 1])('batches of %i', (batchSize) => {
  const f = objective(batchSize);
  const options = { dtype: 'float64' } as const;
  const J = matrix(differences((t) => reference(t, all).outputs, theta));

  test('Jacobian and its adjoint', async () => {
    await using A = await make.jacobian(f, options);
    expect([A.rows, A.columns, A.symmetric]).toEqual([samples * classes, theta.length, false]);
    const got = await dense(A);
    expect(error(flat(got), flat(J))).toBeLessThan(once);
    const y = Float64Array.from(random(A.rows * 2, 31));
    const block = await A.applyAdjoint(y);
    const want = [0, 1].flatMap((r) =>
      flat(got.transpose().mmul(Matrix.columnVector(Array.from(y.slice(r * A.rows, (r + 1) * A.rows))))),
    );
    expect(error(await block.readFloat64(), want)).toBeLessThan(1e-14);
    block.dispose();
  });
  test('input Jacobian', async () => {
    await using A = await make.inputJacobian(f, options);
    expect(
      error(flat(await dense(A)), flat(matrix(differences((v) => reference(theta, Array.from(v)).outputs, all)))),
    ).toBeLessThan(once);
  });
  test('neural tangent kernel', async () => {
    await using K = await make.neuralTangentKernel(f, options);
    expect([K.symmetric, K.positiveSemidefinite]).toEqual([true, true]);
    expect(error(flat(await dense(K)), flat(J.mmul(J.transpose())))).toBeLessThan(once);
  });
  test('gradient covariance', async () => {
    const G = matrix(differences((t) => reference(t, all).losses, theta)); // rows: per-sample gradients
    const average = Matrix.rowVector(G.mean('column'));
    const want = Matrix.sub(G.transpose().mmul(G).div(samples), average.transpose().mmul(average));
    await using C = await make.gradientCovariance(f, options);
    expect(error(flat(await dense(C)), flat(want))).toBeLessThan(once);
  });
  test('input Hessian and mixed derivatives', async () => {
    await using A = await make.inputHessian(f, options);
    expect(A.symmetric).toBe(true);
    expect(error(flat(await dense(A)), inputReference)).toBeLessThan(twice);
    await using B = await make.mixedHessian(f, options);
    expect([B.rows, B.columns]).toEqual([theta.length, all.length]);
    const mixed = await dense(B);
    // columns by parameters: the transposed
    expect(error(flat(mixed.transpose()), mixedReference)).toBeLessThan(twice);
    const [forward, y] = [toFunction(B), Float64Array.from(random(B.rows, 33))];
    expect(
      error(await forward.adjoint(y), flat(mixed.transpose().mmul(Matrix.columnVector(Array.from(y))))),
    ).toBeLessThan(1e-14);
  });
});

test('chosen parameters alone: their columns of the Jacobian', async () => {
  await using whole = await make.jacobian(objective(2), { dtype: 'float64' });
  await using part = await make.jacobian(objective(2), { dtype: 'float64', parameters: ['w'] });
  const full = await dense(whole);
  expect(
    error(flat(await dense(part)), flat(full.subMatrix(0, full.rows - 1, full.columns - 12, full.columns - 1))),
  ).toBeLessThan(1e-15);
});

describe('plain functions and matrices', () => {
  test('toFunction gives both products of a rectangular matrix', async () => {
    const m = new Matrix([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    const f = toFunction(toOperator(m));
    expect([f.rows, f.columns]).toEqual([2, 3]);
    expect(Array.from(await f(Float64Array.of(1, 0, -1)))).toEqual([-2, -2]);
    expect(Array.from(await f.adjoint(Float64Array.of(1, -1)))).toEqual([-3, -3, -3]);
    expect((await dense(toOperator(m))).to2DArray()).toEqual(m.to2DArray());
  });
  test('dense refuses what is too large, and what has no meaning is refused', async () => {
    await using H = await hessian(objective(5), { dtype: 'float64' });
    await expect(dense(H, { maxEntries: 10 })).rejects.toThrow('a 36 × 36 matrix has more than the 10 entries allowed');
    const scalar = meanLoss(
      trace((p, { t }) => nn.mean(nn.square(nn.embedding(t, p.w))), {
        parameters: { w: [3, 2] },
        inputs: { t: { shape: [null], dtype: 'int32' } },
      }),
      outputLoss(),
      datasetFromArrays({ inputs: { t: { data: Int32Array.of(0, 1), shape: [2] } } }),
    );
    await expect(make.jacobian(scalar)).rejects.toThrow('a Jacobian needs an output per sample');
    await expect(make.inputHessian(scalar)).rejects.toThrow('has no floating-point input');
    await expect(make.gradientCovariance(scalar)).rejects.toThrow('needs a loss over samples');
  });
});
