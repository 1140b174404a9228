/** V = T·G in the type of the gradients, against float64 sums, with the error that whiten.ts states. */
import { afterAll, describe, expect, test } from 'vitest';
import { philoxNormal } from '../../src/base/philox.js';
import { openDevice } from '../../src/device/open.js';
import { whiten } from '../../src/mfac/whiten.js';

const device = openDevice({ device: 'cpu', threads: 2 });
afterAll(() => device.dispose());

// one panel, ragged panels, the most panels; an odd width
describe.each([
  [1, 1],
  [33, 70],
  [150, 201],
  [401, 65],
])('%i gradients of %i', (m, d) => {
  test.each([
    ['float32', 2 ** -24],
    ['float64', 2 ** -53],
  ] as const)('%s', async (dtype, u) => {
    // every other row of a block, so that rows are not consecutive
    const all = device.block(dtype, d, 2 * m);
    const g = all.every(1, 2, m);
    all.write(Array.from({ length: all.count * d }, () => Number.NaN));
    g.write(philoxNormal(5, 0, 0, m * d));
    const values = await g.readFloat64();
    // what lies above the diagonal is not looked at beyond its panel, so it must be 0
    const t = philoxNormal(5, 1, 0, m * m).map((x, i) => (i % m <= Math.floor(i / m) ? x : 0));
    const v = device.block(dtype, d, m);
    whiten(t, g, v);
    const found = await v.readFloat64();
    let [squares, scale] = [0, 0];
    const wrong: number[][] = [];
    for (let i = 0; i < m; i++) {
      for (let e = 0; e < d; e++) {
        let [sum, magnitude] = [0, 0];
        for (let j = 0; j <= i; j++) {
          const term = (t[i * m + j] as number) * (values[j * d + e] as number);
          sum += term;
          magnitude += Math.abs(term);
        }
        const error = Math.abs((found[i * d + e] as number) - sum);
        // T is rounded, products are summed; in float64 the sum here errs as much
        if (!(error <= (dtype === 'float64' ? 2 : 1) * u * (m + 1) * magnitude)) wrong.push([i, e, error]);
        squares += error * error;
        scale += magnitude * magnitude;
      }
    }
    expect(wrong).toEqual([]);
    expect(Math.sqrt(squares)).toBeLessThanOrEqual(u * Math.sqrt(m) * Math.sqrt(scale));
    for (const block of [g, all, v]) block.dispose();
  });
});
