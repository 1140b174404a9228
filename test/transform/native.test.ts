/** The random programs of compile.test.ts, run by the native core, equal evaluating the graph node by node. */
import { afterAll, describe, test } from 'vitest';
import { openDevice } from '../../src/device/open.js';
import { Chance } from '../cases/random.js';
import { randomGraph } from '../cases/random-graph.js';
import { compareRun, randomRequest, runOn } from '../cases/random-program.js';

const seeds = Array.from({ length: 100 }, (_, i) => i + 1);

describe.each([
  ['one thread, no oneDNN', 1, false],
  ['three threads', 3, true],
] as const)('%s', (_, threads, useOneDNN) => {
  const device = openDevice({ device: 'cpu', threads, useOneDNN });
  afterAll(() => device.dispose());

  test.each(seeds)('float64, seed %i', (seed) => check(seed, ['float64']));
  test.each(seeds)('float32, seed %i', (seed) => check(seed + 1000, ['float32']));
  test.each(seeds)('mixed types, seed %i', (seed) => check(seed + 2000, ['float32', 'float64']));

  // extents beyond the tiles and vector lengths of the kernels
  test.each(seeds.slice(0, 25))('larger values, seed %i', (seed) =>
    check(seed + 3000, seed % 2 ? ['float32'] : ['float64'], 40),
  );

  async function check(seed: number, floats: readonly ('float32' | 'float64')[], extent = 4): Promise<void> {
    const chance = new Chance(seed);
    const random = randomGraph(chance, {
      nodes: chance.int(10, 120),
      floats,
      degenerate: chance.pick([0, 0.1, 0.4]),
      extent,
    });
    const request = randomRequest(chance, random);
    compareRun(request, await runOn(device, request), floats.includes('float32') ? 2 ** -23 : 2 ** -52);
  }
});
