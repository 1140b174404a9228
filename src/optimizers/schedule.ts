/**
 * Learning-rate schedules: the factor on η for an update, as a function of the updates done before it (0, 1, …).
 * T is a number of updates; beyond it the last value stays.
 */
import { InputError } from '../base/errors.js';

/** The factor on the learning rate after `done` updates. */
export type Schedule = (done: number) => number;

/** 1 at every step. */
export const constant = (): Schedule => () => 1;

/** × `factor` at each of `milestones` (updates done). */
export function stepDecay(milestones: readonly number[], factor = 0.1): Schedule {
  if (!(factor > 0)) throw new InputError(`the factor of a step schedule must be positive, not ${factor}`);
  return (done) => factor ** milestones.filter((m) => done >= m).length;
}

/** From 1 to `end` in a straight line over `total` updates. */
export function linear(total: number, end = 0): Schedule {
  checkTotal(total);
  return (done) => 1 + (end - 1) * Math.min(1, done / total);
}

/** end + (1 − end)·½(1 + cos(π·done/total))  (Loshchilov and Hutter 2017, without restarts) */
export function cosine(total: number, end = 0): Schedule {
  checkTotal(total);
  return (done) => end + (1 - end) * 0.5 * (1 + Math.cos(Math.PI * Math.min(1, done / total)));
}

/** 1/n, 2/n, … 1 over the first n updates, then `rest` from its own beginning. */
export function warmUp(updates: number, rest: Schedule = constant()): Schedule {
  if (!(Number.isInteger(updates) && updates >= 0))
    throw new InputError(`the warm-up must be a whole number of updates, not ${updates}`);
  return (done) => (done < updates ? (done + 1) / updates : rest(done - updates));
}

function checkTotal(total: number): void {
  if (!(total > 0 && Number.isFinite(total)))
    throw new InputError(`a schedule's length must be a positive number of updates, not ${total}`);
}
