import { describe, expect, test } from 'vitest';
import { bytesPerElement } from '../../src/program/format.js';
import { Chance } from '../cases/random.js';
import { randomGraph } from '../cases/random-graph.js';
import { compareRun, randomRequest, runReference } from '../cases/random-program.js';

/**
 * Random programs, run by the reference interpreter, equal evaluating the graph node by node. The interpreter refuses
 * to read bytes that nobody wrote and results that overlap operands, and the plan's shared scratch is part of the
 * test: values that overwrite one another while still needed come out wrong.
 */
describe('compiled random graphs equal the evaluator', () => {
  const seeds = Array.from({ length: 150 }, (_, i) => i + 1);
  test.each(seeds)('float64, seed %i', (seed) => {
    check(seed, ['float64']);
  });
  test.each(seeds)('mixed types, seed %i', (seed) => {
    check(seed + 1000, ['float32', 'float64']);
  });
});

function check(seed: number, floats: readonly ('float32' | 'float64')[]): void {
  const chance = new Chance(seed);
  const random = randomGraph(chance, { nodes: chance.int(10, 120), floats, degenerate: chance.pick([0, 0.1, 0.4]) });
  const request = randomRequest(chance, random);
  const run = runReference(request);
  compareRun(request, run, floats.includes('float32') ? 2 ** -23 : 2 ** -52);
  expect(run.compiled.plan.bytes).toBeGreaterThanOrEqual(run.compiled.plan.livePeak);
  expect(run.compiled.program.instructions.length).toBe(run.compiled.labels.length);
  expect(bytesPerElement.float64).toBe(8);
}
