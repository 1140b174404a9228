/** Samples that influence one another in a batch: the result would depend on how they fall into batches. */
import { expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.js';
import { philoxNormal } from '../../src/base/philox.js';
import { datasetFromArrays } from '../../src/data/index.js';
import { openDevice } from '../../src/device/open.js';
import type { Node } from '../../src/graph/index.js';
import { ops } from '../../src/graph/index.js';
import { crossEntropy } from '../../src/model/loss.js';
import type { MeanLossOptions } from '../../src/model/mean-loss.js';
import { meanLoss } from '../../src/model/mean-loss.js';
import type { Model } from '../../src/model/model.js';
import { hessian, lossAndGradient } from '../../src/operators/create.js';
import { tanhNetwork } from '../reference/models.js';

const [samples, inputs, classes] = [12, 4, 3];
const plain = tanhNetwork([inputs, 5, classes]);
/** As a batch normalisation in training mode that was exported as its parts. */
const centred: Model = {
  ...plain,
  source: 'centred.onnx',
  build(options) {
    const y = plain.build(options).get('y') as Node;
    const mean = ops.mul(1 / (y.shape[0] as number), ops.reduceSum(y, [0], true));
    return new Map([['y', ops.sub(y, ops.broadcastTo(mean, y.shape))]]);
  },
};
const loss = (model: Model, options: MeanLossOptions) =>
  meanLoss(
    model,
    crossEntropy(),
    datasetFromArrays({
      inputs: { x: { data: philoxNormal(1, 0, 0, samples * inputs), shape: [samples, inputs] } },
      target: { data: Int32Array.from({ length: samples }, (_, i) => i % classes), shape: [samples] },
    }),
    options,
  );

test.each(['float32', 'float64'] as const)('%s: are refused in several batches and with padding', async (dtype) => {
  const device = openDevice({ threads: 1 });
  for (const batchSize of [4, 5, 7]) {
    await expect(hessian(loss(centred, { batchSize }), { dtype, device })).rejects.toThrow(InputError);
    await expect(lossAndGradient(loss(centred, { batchSize }), { dtype, device })).rejects.toThrow(
      /influence one another.*model\.eval\(\)/,
    );
    await lossAndGradient(loss(plain, { batchSize }), { dtype, device });
  }
  const padded: Model = { ...centred, fixedBatch: 16 };
  await expect(lossAndGradient(loss(padded, {}), { dtype, device })).rejects.toThrow(InputError);
  await device.finish();
  expect(device.allocatedBytes).toBe(0);
  device.dispose();
});

test('are a function like any other in one batch', async () => {
  const { loss: value } = await lossAndGradient(loss(centred, { batchSize: samples }), { dtype: 'float64' });
  expect(Number.isFinite(value)).toBe(true);
});
