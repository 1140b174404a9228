/** Masks on the device, apart from any optimizer that might hide what they do. */
import { expect, test } from 'vitest';
import { ShapeError } from '../../src/base/errors.js';
import { openDevice } from '../../src/device/open.js';
import { Mask, masked } from '../../src/pruning/mask.js';

const device = openDevice({ device: 'cpu', threads: 1 });

test.each(['float32', 'float64'] as const)(
  'what is not kept is +0 in every vector of %s, whatever it was',
  async (dtype) => {
    const block = device.block(dtype, 4, 2);
    block.write([-1, 2, Number.NaN, -4, 5, -6, Number.POSITIVE_INFINITY, 8]);
    const mask = new Mask(device, dtype, [0, 1, 0, 1]);
    mask.apply(block);
    // toEqual tells −0 from 0
    expect([...(await block.read())]).toEqual([0, 2, 0, -4, 0, -6, 0, 8]);
    const other = device.block(dtype, 3, 1);
    expect(() => mask.apply(other)).toThrow(ShapeError);
    mask.dispose();
  },
);

test('an algorithm sees masked gradients, and cannot move what is gone', async () => {
  const parameters = device.block('float64', 3, 1);
  parameters.write([1, 2, 3]);
  const seen: number[][] = [];
  const factory = masked(
    async (block) => ({
      async update(gradient) {
        seen.push([...(await gradient.read())]);
        block.write([-7, -8, -9]);
      },
      save: async () => 'saved',
      dispose: () => undefined,
    }),
    [1, 0, 1],
  );
  const algorithm = await factory(parameters);
  expect([...(await parameters.read())]).toEqual([1, 0, 3]);
  const gradient = device.block('float64', 3, 1);
  gradient.write([-1, -2, -3]);
  await algorithm.update(gradient);
  expect(seen).toEqual([[-1, 0, -3]]);
  expect([...(await parameters.read())]).toEqual([-7, 0, -9]);
  expect(await algorithm.save()).toBe('saved');
  algorithm.dispose();
});
