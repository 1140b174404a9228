/** Weights on their way to the device: read once, in pieces where they come so, and looked at. */
import { afterAll, expect, test } from 'vitest';
import { datasetFromArrays } from '../../src/data/index.js';
import { openDevice } from '../../src/device/open.js';
import { crossEntropy } from '../../src/model/loss.js';
import { meanLoss } from '../../src/model/mean-loss.js';
import type { Model, StoredValues } from '../../src/model/model.js';
import { hessian } from '../../src/operators/create.js';
import { normals } from '../reference/matrices.js';
import { tanhNetwork } from '../reference/models.js';

const device = openDevice({ threads: 1 });
afterAll(() => device.dispose());
const width = 1100;
const data = datasetFromArrays({
  inputs: { x: { data: Float32Array.from(normals(2 * width, 3)), shape: [2, width] } },
  target: { data: Int32Array.of(0, 2), shape: [2] },
});
/** the first layer has more elements than go to the device at a time */
const network = tanhNetwork([width, 1000, 3]);
/** the network with the values of its parameters in pieces, and how often they and the fingerprint were asked for */
function watched(inPieces: boolean, change: (values: Float32Array, name: string) => void = () => undefined) {
  const asked = { values: 0, pieces: 0, fingerprint: 0 };
  const model: Model = {
    ...network,
    get fingerprint() {
      asked.fingerprint++;
      return 'network';
    },
    parameters: network.parameters.map((p) => {
      const own = Float32Array.from(p.values());
      change(own, p.name);
      const pieces = function* (count: number): Iterable<Float32Array> {
        asked.pieces++;
        const size = Math.min(count, 300_007);
        for (let from = 0; from < own.length; from += size) yield own.slice(from, from + size);
      };
      const values: StoredValues = Object.assign(
        () => {
          asked.values++;
          return own;
        },
        inPieces && own.length > 10_000 ? { pieces } : {},
      );
      return { ...p, values };
    }),
  };
  return { model, asked };
}

test.each([true, false])(
  'weights, in pieces (%s), are read once and lie where they belong; no fingerprint is made until asked for',
  async (inPieces) => {
    const { model, asked } = watched(inPieces);
    await using H = await hessian(meanLoss(model, crossEntropy(), data), { device });
    const pieces = inPieces ? 1 : 0;
    expect(asked).toEqual({ values: network.parameters.length - pieces, pieces, fingerprint: 0 });
    const there = await H.execution.parameters.read();
    const wanted = network.parameters.flatMap((p) => [...Float32Array.from(p.values())]);
    expect(there.length).toBe(wanted.length);
    expect(there.every((v, i) => v === wanted[i])).toBe(true);
    expect(H.fingerprint).toBe(H.fingerprint);
    expect(H.fingerprint).toContain('network');
    expect(asked.fingerprint).toBe(1);
  },
);

test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('%s is refused by name', async (bad) => {
  const name = network.parameters[0]!.name;
  const before = device.allocatedBytes;
  const { model } = watched(true, (values, own) => {
    if (own === name) values[values.length - 1] = bad;
  });
  await expect(hessian(meanLoss(model, crossEntropy(), data), { device })).rejects.toThrow(
    `parameter '${name}' of ${network.source} holds NaN or infinity`,
  );
  await device.finish();
  expect(device.allocatedBytes).toBe(before);
});
