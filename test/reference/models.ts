/** Small models written in primitives, for properties that need no file. */

import { philoxNormal } from '../../src/base/philox.js';
import type { Node, Shape } from '../../src/graph/index.js';
import { ops } from '../../src/graph/index.js';
import type { Model } from '../../src/model/model.js';

/** tanh network with the given widths, biases everywhere, weights normal with variance 1/fan-in */
export function tanhNetwork(widths: readonly number[], seed = 0): Model {
  const shapes = new Map<string, Shape>();
  widths.slice(1).forEach((out, i) => {
    shapes.set(`${i}.weight`, [out, widths[i] as number]);
    shapes.set(`${i}.bias`, [out]);
  });
  const parameters = [...shapes].map(([name, shape], i) => ({
    name,
    shape,
    consumers: [],
    values: () => {
      const fan = shape[1] ?? 4;
      return philoxNormal(
        seed,
        1000 + i,
        0,
        shape.reduce((a, b) => a * b, 1),
      ).map((v) => v / Math.sqrt(fan));
    },
  }));
  return {
    source: `tanh network ${widths.join('-')}`,
    inputs: [{ name: 'x', dtype: 'float32', shape: [null, widths[0] as number] }],
    outputs: [{ name: 'y' }],
    parameters,
    buffers: [],
    operators: new Map(),
    unsupported: [],
    fixedBatch: null,
    warnings: [],
    fingerprint: `tanh ${widths.join('-')} ${seed}`,
    build: ({ inputs, parameters: p }) => {
      let h = inputs.get('x') as Node;
      widths.slice(1).forEach((_, i) => {
        h = ops.add(ops.dot(h, p.get(`${i}.weight`) as Node, 'bi', 'oi', 'bo'), p.get(`${i}.bias`) as Node);
        if (i < widths.length - 2) h = ops.tanh(h);
      });
      return new Map([['y', h]]);
    },
  };
}
