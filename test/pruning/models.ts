/** Small classifiers with every kind of layer that pruning meets. */
import { datasetFromArrays } from '../../src/data/index.js';
import { crossEntropy } from '../../src/model/loss.js';
import { type MeanLoss, meanLoss } from '../../src/model/mean-loss.js';
import { layers, nn, trace } from '../../src/trace/index.js';
import { normals } from '../reference/matrices.js';

const samples = 120;

/** 8-12-4, PyTorch's names: 0.weight [12, 8], 2.weight [4, 12] */
export function mlp(batchSize = 16): MeanLoss {
  const net = layers.sequential(layers.linear(8, 12), nn.tanh, layers.linear(12, 4));
  const model = trace((p, { x }) => net.apply(p, x as never), { parameters: net.parameters, inputs: { x: [null, 8] } });
  return labelled(model, [8], batchSize);
}
/** softmax regression 8→4, weight [4, 8], whose labels are not certain */
export function regression(): MeanLoss {
  const layer = layers.linear(8, 4);
  const model = trace((p, { x }) => layer.apply(p, x as never), {
    parameters: layer.parameters,
    inputs: { x: [null, 8] },
  });
  return labelled(model, [8], 120, 1.5);
}
/** convolutions 1→4 and 4→8, then linear 8→4; weights conv1 [4,1,3,3], conv2 [8,4,3,3], fc [4,8], tied [8,8] used twice */
export function cnn(): MeanLoss {
  const model = trace(
    (p, { x }) => {
      const h = nn.relu(nn.conv2d(x as never, p.conv1 as never, { padding: 1 }));
      const c = nn.tanh(nn.conv2d(h, p.conv2 as never, { bias: p.b as never }));
      const v = nn.mean(c, [2, 3]);
      const twice = nn.matmul(nn.tanh(nn.matmul(v, p.tied as never)), p.tied as never);
      return nn.linear(twice, p.fc as never);
    },
    {
      parameters: {
        conv1: { shape: [4, 1, 3, 3] },
        conv2: { shape: [8, 4, 3, 3] },
        b: { shape: [8] },
        tied: { shape: [8, 8] },
        fc: { shape: [4, 8] },
      },
      inputs: { x: [null, 1, 6, 6] },
    },
  );
  return labelled(model, [1, 6, 6], 16);
}

function labelled(model: MeanLoss['model'], shape: number[], batchSize: number, noise = 0): MeanLoss {
  const size = shape.reduce((n, d) => n * d, 1);
  const x = normals(samples * size, 7);
  const e = normals(samples * 3, 8);
  const sign = (s: number, i: number): boolean => (x[s * size + i] as number) + noise * (e[s * 3 + i] as number) > 0;
  const target = Int32Array.from({ length: samples }, (_, s) =>
    sign(s, 0) ? (sign(s, 1) ? 0 : 1) : sign(s, 2) ? 2 : 3,
  );
  const data = datasetFromArrays({
    inputs: { x: { dtype: 'float64', shape: [samples, ...shape], data: x } },
    target: { dtype: 'int32', shape: [samples], data: target },
  });
  return meanLoss(model, crossEntropy(), data, { batchSize });
}
