// The three fixed workloads as models written in primitives, with random weights and data. The same architectures
// as bench/rivals/workloads.py; numbers differ, work does not.
import { datasetFromArrays, functions, ops } from 'hessia';

/** Deterministic numbers in (−1, 1): speed does not depend on them, only that they are neither zero nor huge. */
function noise(length, scale, seed) {
  let state = (seed * 2654435761 + 1) >>> 0;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return scale * (state / 2 ** 31 - 1);
  });
}
const size = (shape) => shape.reduce((a, b) => a * b, 1);

/** Collects parameters while the recipe runs for the first time, then serves them by name. */
function model(source, inputs, recipe) {
  const found = new Map();
  const parameter = (name, shape, fan) => {
    found.set(name, { name, shape, consumers: [], values: () => noise(size(shape), Math.sqrt(3 / fan), found.size + name.length) });
    return name;
  };
  const apply = recipe(parameter);
  return {
    source, inputs, outputs: [{ name: 'output' }], parameters: [...found.values()], buffers: [], operators: new Map(),
    unsupported: [], fixedBatch: null, warnings: [], fingerprint: source,
    build: ({ parameters, inputs: given }) => new Map([['output', apply((name) => parameters.get(name), given.get(inputs[0].name))]]),
  };
}

function linear(parameter, name, inside, outside) {
  parameter(`${name}.weight`, [outside, inside], inside);
  parameter(`${name}.bias`, [outside], inside);
  return (p, x) => ops.add(ops.matmul(x, ops.transpose(p(`${name}.weight`))), p(`${name}.bias`));
}

const mlp = () => model('mlp', [{ name: 'x', dtype: 'float32', shape: [null, 784] }], (parameter) => {
  const layers = [[784, 512], [512, 512], [512, 10]].map(([a, b], i) => linear(parameter, `layer${i}`, a, b));
  return (p, x) => layers.reduce((h, layer, i) => (i === 2 ? layer(p, h) : ops.tanh(layer(p, h))), x);
});

function convolution(parameter, name, inside, outside, window, stride) {
  parameter(`${name}.weight`, [outside, inside, window, window], inside * window * window);
  const pad = (window - 1) / 2;
  return (p, x) => ops.conv(x, p(`${name}.weight`), { strides: [stride, stride], padLow: [pad, pad], padHigh: [pad, pad], dilations: [1, 1], groups: 1 });
}
/** BatchNorm in evaluation mode with running mean 0 and variance 1 */
function batchNorm(parameter, name, channels) {
  parameter(`${name}.weight`, [channels], 3);
  parameter(`${name}.bias`, [channels], 3);
  const spread = (v, x) => ops.broadcast(v, x.shape, [1]);
  return (p, x) => ops.add(ops.mul(ops.mul(x, 1 / Math.sqrt(1 + 1e-5)), spread(p(`${name}.weight`), x)), spread(p(`${name}.bias`), x));
}

const resnet20 = () => model('resnet20', [{ name: 'x', dtype: 'float32', shape: [null, 3, 32, 32] }], (parameter) => {
  const unit = (name, a, b, window, stride) => {
    const conv = convolution(parameter, `${name}.conv`, a, b, window, stride), norm = batchNorm(parameter, `${name}.bn`, b);
    return (p, x) => norm(p, conv(p, x));
  };
  const stem = unit('stem', 3, 16, 3, 1);
  const widths = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64];
  const blocks = widths.slice(1).map((b, i) => {
    const a = widths[i], stride = a === b ? 1 : 2;
    const first = unit(`block${i}.1`, a, b, 3, stride), second = unit(`block${i}.2`, b, b, 3, 1);
    const shortcut = stride === 1 ? (_, x) => x : unit(`block${i}.s`, a, b, 1, stride);
    return (p, x) => functions.relu(ops.add(second(p, functions.relu(first(p, x))), shortcut(p, x)));
  });
  const head = linear(parameter, 'head', 64, 10);
  return (p, x) => head(p, functions.mean(blocks.reduce((h, block) => block(p, h), functions.relu(stem(p, x))), [2, 3]));
});

const gpt = () => model('gpt', [{ name: 'tokens', dtype: 'int32', shape: [null, 64] }], (parameter) => {
  const width = 128, heads = 4, length = 64, vocabulary = 256;
  parameter('embedding', [vocabulary, width], 3);
  parameter('position', [length, width], 3);
  const norm = (name) => {
    parameter(`${name}.weight`, [width], 3);
    parameter(`${name}.bias`, [width], 3);
    return (p, x) => functions.layerNorm(x, -1, 1e-5, p(`${name}.weight`), p(`${name}.bias`));
  };
  const blocks = [0, 1, 2, 3].map((i) => {
    const norm1 = norm(`block${i}.norm1`), norm2 = norm(`block${i}.norm2`);
    const qkv = linear(parameter, `block${i}.qkv`, width, 3 * width), out = linear(parameter, `block${i}.out`, width, width);
    const up = linear(parameter, `block${i}.up`, width, 4 * width), down = linear(parameter, `block${i}.down`, 4 * width, width);
    const attend = (p, x) => {
      const n = x.shape[0];
      const packed = qkv(p, x);
      const [q, k, v] = [0, 1, 2].map((j) => ops.reshape(ops.slice(packed, [0, 0, j * width], [n, length, width]), [n, length, heads, width / heads]));
      const scores = ops.mul(ops.dot(q, k, 'bthd', 'bshd', 'bhts'), 1 / Math.sqrt(width / heads));
      const g = x.graph;
      const hidden = ops.gt(g.iota(3, scores.shape), g.iota(2, scores.shape));
      const weights = functions.softmax(ops.select(hidden, g.fill(-1e9, scores.shape, scores.dtype), scores), [3]);
      return out(p, ops.reshape(ops.dot(weights, v, 'bhts', 'bshd', 'bthd'), [n, length, width]));
    };
    return (p, x) => {
      const h = ops.add(x, attend(p, norm1(p, x)));
      return ops.add(h, down(p, functions.gelu(up(p, norm2(p, h)))));
    };
  });
  const last = norm('norm'), head = linear(parameter, 'head', width, vocabulary);
  return (p, tokens) => {
    const x = ops.add(ops.take(p('embedding'), tokens, 0), p('position'));
    return head(p, last(p, blocks.reduce((h, block) => block(p, h), x)));
  };
});

const integers = (length, below, seed) => Int32Array.from(noise(length, 1, seed), (x) => Math.floor(((x + 1) / 2) * below) % below);

/** name → { model, data, batch, classAxis } */
export const workloads = {
  mlp: () => ({ model: mlp(), batch: 256, data: datasetFromArrays({
    inputs: { x: { data: noise(256 * 784, 1.7, 1), shape: [256, 784] } }, target: { data: integers(256, 10, 2), shape: [256] } }) }),
  resnet20: () => ({ model: resnet20(), batch: 128, data: datasetFromArrays({
    inputs: { x: { data: noise(128 * 3072, 1.7, 3), shape: [128, 3, 32, 32] } }, target: { data: integers(128, 10, 4), shape: [128] } }) }),
  gpt: () => ({ model: gpt(), batch: 16, classAxis: -1, data: datasetFromArrays({
    inputs: { tokens: { data: integers(16 * 64, 256, 5), shape: [16, 64] } }, target: { data: integers(16 * 64, 256, 6), shape: [16, 64] } }) }),
};
