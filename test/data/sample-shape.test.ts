import { expect, test } from 'vitest';
import { fitSampleShape } from '../../src/data/sample-shape.js';

test.each([
  [
    [28, 28],
    [1, 28, 28],
    [1, 28, 28],
  ],
  [
    [1, 28, 28],
    [28, 28],
    [28, 28],
  ],
  [
    [3, 8, 8],
    [3, null, null],
    [3, 8, 8],
  ],
  [
    [8, 8],
    [1, null, null],
    [1, 8, 8],
  ],
  [[5, 1], [null], [5]],
  [[1], [null], [1]],
  [[1, 1], [], []],
  [[], [1], [1]],
  [[784], [1, 28, 28], undefined],
  [[28, 28], [3, 28, 28], undefined],
  [[8, 4], [4, 8], undefined],
  [[2, 2], [null], undefined],
])('samples of %j for an input of %j', (given, wanted, fitted) => {
  expect(fitSampleShape(given, wanted)).toEqual(fitted);
});
