/** Where the classes of a cross-entropy lie: the contract's rule for --class-axis. */
import { expect, test } from 'vitest';
import { InputError, ShapeError } from '../../src/base/errors.js';
import { crossEntropy } from '../../src/model/loss.js';

const bind = (output: number[], target: number[], classAxis?: number) =>
  crossEntropy({ classAxis }).bind(output, target);

test('axis 1, else the last, whichever leaves the target', () => {
  expect(() => bind([4, 3], [4])).not.toThrow();
  expect(() => bind([4, 3, 5, 6], [4, 5, 6])).not.toThrow();
  expect(() => bind([4, 5, 6, 3], [4, 5, 6])).not.toThrow();
  expect(() => bind([4, 3], [3])).toThrow(ShapeError);
});

test('where both fit it must be said', () => {
  expect(() => bind([4, 3, 3], [4, 3])).toThrow('--class-axis');
  expect(() => bind([4, 3, 3], [4, 3], 1)).not.toThrow();
  expect(() => bind([4, 3, 3], [4, 3], -1)).not.toThrow();
});

test('the axis of samples is refused, also where as many samples as classes would let it fit', () => {
  expect(() => bind([3, 3], [3], 0)).toThrow(InputError);
  expect(() => bind([3, 3], [3], -2)).toThrow('axis 0 counts samples');
});
