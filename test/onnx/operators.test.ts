/** Single operators in every version from opset 9 to 23 against onnxruntime; see fixtures/operators.py. */
import { describe, expect, test } from 'vitest';
import { derivativeFault } from './case-derivatives.js';
import { ofKind, type Packed, packedModel, readPacked } from './packed.js';
import { difference, runModel } from './run.js';

const cases = await readPacked('operators.npz');

function check(name: string, arrays: Packed): string | undefined {
  try {
    const model = packedModel(name, arrays);
    for (const parameters of ['constants', 'inputs'] as const) {
      const found = runModel(model, ofKind(arrays, 'in'), { parameters });
      for (const [key, expected] of ofKind(arrays, 'out')) {
        const output = found.get(key)!;
        if (output.shape.join() !== expected.shape.join())
          return `${name}: ${key} has shape [${output.shape}], not [${expected.shape}]`;
        const worst = difference(output.data, expected.data as Float32Array);
        if (!(worst < 1e-5)) return `${name}: ${key} differs by ${worst}`;
      }
    }
    return undefined;
  } catch (error) {
    return `${name}: ${(error as Error).message}`;
  }
}

/** right, but differences say nothing about their derivatives there */
const unsmooth: readonly [RegExp, string][] = [[/^Round-halves/, 'inputs stand at jumps']];

describe('operators', () => {
  test('there are hundreds of cases', () => expect(cases.size).toBeGreaterThan(900));
  test('all agree with onnxruntime', () => {
    expect([...cases].map(([name, arrays]) => check(name, arrays)).filter((fault) => fault !== undefined)).toEqual([]);
  }, 60_000);
  test('gradients and Hessians in the inputs agree with differences', () => {
    const faults: string[] = [];
    let checked = 0;
    for (const [name, arrays] of cases) {
      if (unsmooth.some(([pattern]) => pattern.test(name))) continue;
      const fault = derivativeFault(packedModel(name, arrays), Object.fromEntries(ofKind(arrays, 'in')));
      if (fault === undefined) checked++;
      else if (fault !== 'none') faults.push(`${name}: ${fault}`);
    }
    expect(faults).toEqual([]);
    expect(checked).toBeGreaterThan(700);
  }, 120_000);
});
