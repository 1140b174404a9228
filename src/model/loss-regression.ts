/**
 * Losses of real numbers, each the mean over elements of PyTorch's term in r = output − target (o = output, t = target):
 *
 *   mse           r²                                             l1     |r|, slope 0 at r = 0
 *   huber         ½r² within |r| ≤ δ, δ(|r| − ½δ) outside          (Huber 1964)
 *   smooth-l1     ½r²/β within |r| < β, |r| − ½β outside
 *   gaussian-nll  ½(log σ² + r²/σ²), σ² given; or from the output, which then holds means and log variances
 *   poisson-nll   e^o − t·o, o the logarithm of the rate; with `full`, Stirling's log t! for t > 1 (no derivative)
 *
 * mse, Gaussian and Poisson are likelihoods and have Fishers. Where the output is the natural parameter (all but the
 * Gaussian with its own variance), E[g gᵀ] over drawn labels is the Hessian of the term at the output.
 */
import { ShapeError } from '../base/errors.js';
import type { Node } from '../graph/index.js';
import { ops, type Shape } from '../graph/index.js';
import {
  type BoundLoss,
  detailOf,
  type Likelihood,
  type Loss,
  mustBePositive,
  mustShareShape,
  perSample,
} from './loss-base.js';

const { add, mul, sub } = ops;

interface Elementwise {
  readonly name: string;
  readonly detail?: string | undefined;
  term(output: Node, target: Node): Node;
  readonly check?: BoundLoss['check'];
  readonly likelihood?: Likelihood;
}
function elementwise({ name, detail, term, check = () => null, likelihood }: Elementwise): Loss {
  const bound: BoundLoss = {
    terms: (output, target) => perSample(term(output, target)),
    count: (target) => target.length,
    check,
    ...(likelihood ? { likelihood } : {}),
  };
  return {
    name,
    detail,
    target: 'float',
    bind: (output, target) => {
      mustShareShape(name, output, target);
      return bound;
    },
  };
}
/** A label per element whose score is `deviation`·ξ, ξ standard normal; then the root squared is deviation². */
function normalScores(deviation: (output: Node) => Node | number): Likelihood {
  const times = (output: Node, x: Node): Node => {
    const d = deviation(output);
    return mul(typeof d === 'number' ? d : ops.broadcastTo(d, x.shape), x);
  };
  return {
    distribution: 'normal',
    randomShape: (output) => output,
    labelAxes: [],
    drawn: times,
    root: (output, v) => times(output, times(output, v)),
    mask: () => null,
  };
}

/** (output − target)², mean over elements. As a likelihood: normal with variance ½, whose Fisher is the Gauss–Newton matrix. */
export function meanSquaredError(): Loss {
  const term = (output: Node, target: Node): Node => {
    const r = sub(output, target);
    return mul(r, r);
  };
  return elementwise({ name: 'mse', term, likelihood: normalScores(() => Math.SQRT2) });
}

/** |output − target|, mean over elements. Its second derivative is zero, so Gauss–Newton is too; it has no Fisher. */
export function meanAbsoluteError(): Loss {
  return elementwise({ name: 'l1', term: (output, target) => ops.abs(sub(output, target)) });
}

/** Quadratic within ±delta (default 1), linear outside; mean over elements. */
export function huber({ delta = 1 }: { delta?: number } = {}): Loss {
  mustBePositive('huber', 'delta', delta);
  return elementwise({
    name: 'huber',
    detail: detailOf({ delta }),
    term(output, target) {
      const r = sub(output, target),
        size = ops.abs(r);
      return ops.select(ops.le(size, delta), mul(0.5, mul(r, r)), mul(delta, sub(size, 0.5 * delta)));
    },
  });
}
/** Huber's divided by beta (default 1), PyTorch's smooth_l1_loss; mean over elements. */
export function smoothL1({ beta = 1 }: { beta?: number } = {}): Loss {
  mustBePositive('smooth-l1', 'beta', beta);
  return elementwise({
    name: 'smooth-l1',
    detail: detailOf({ beta }),
    term(output, target) {
      const r = sub(output, target),
        size = ops.abs(r);
      return ops.select(ops.lt(size, beta), mul(0.5 / beta, mul(r, r)), sub(size, 0.5 * beta));
    },
  });
}

/**
 * Normal labels. With `variance` given, the output is their mean. Without it the output's last axis holds the means and
 * then the log variances of the target's last axis ([n, 2k] for targets [n, k]): PyTorch's gaussian_nll_loss at
 * variance e^s. In that case the Fisher is the model's true one, diag(e^−s, ½), which is not the Gauss–Newton matrix.
 */
export function gaussianNll({ variance }: { variance?: number } = {}): Loss {
  const name = 'gaussian-nll';
  if (variance === undefined) return heteroscedastic(name);
  mustBePositive(name, 'variance', variance);
  return elementwise({
    name,
    detail: detailOf({ variance }),
    term(output, target) {
      const r = sub(output, target);
      return add(mul(0.5 / variance, mul(r, r)), 0.5 * Math.log(variance));
    },
    likelihood: normalScores(() => 1 / Math.sqrt(variance)),
  });
}
function heteroscedastic(name: string): Loss {
  const half = (x: Node, i: 0 | 1): Node => {
    const k = (x.shape.at(-1) as number) / 2;
    const last = x.shape.length - 1;
    return ops.slice(
      x,
      x.shape.map((_, a) => (a === last ? i * k : 0)),
      x.shape.map((d, a) => (a === last ? k : d)),
    );
  };
  const halved = (output: Shape): Shape => [...output.slice(0, -1), (output.at(-1) as number) / 2];
  const bound: BoundLoss = {
    terms(output, target) {
      const r = sub(half(output, 0), target),
        s = half(output, 1);
      return perSample(mul(0.5, add(s, mul(mul(r, r), ops.exp(ops.neg(s))))));
    },
    count: (target) => target.length,
    check: () => null,
    likelihood: {
      distribution: 'normal',
      randomShape: halved,
      labelAxes: [],
      drawn(output, random) {
        const deviation = ops.broadcastTo(ops.exp(mul(-0.5, half(output, 1))), random.shape);
        const parts = [mul(deviation, random), mul(0.5, sub(1, mul(random, random)))];
        return ops.concat(parts, random.shape.length - 1);
      },
      root(output, v) {
        const precision = ops.exp(ops.neg(half(output, 1)));
        return ops.concat([mul(precision, half(v, 0)), mul(0.5, half(v, 1))], v.shape.length - 1);
      },
      mask: () => null,
    },
  };
  return {
    name,
    target: 'float',
    bind(output, target) {
      if (output.length < 2 || halved(output).join() !== target.join())
        throw new ShapeError(
          `${name}: an output of shape [${output}] does not hold a mean and a log variance for each target of shape [${target}]`,
        );
      return bound;
    },
  };
}

/**
 * Counts with rate e^output, mean over elements; targets at least 0. Drawn labels are normal with the rate as mean and
 * variance, so that the Fisher's expectation, JᵀdiagJ with the rates, is exact without drawing whole numbers.
 */
export function poissonNll({ full = false }: { full?: boolean } = {}): Loss {
  return elementwise({
    name: 'poisson-nll',
    detail: full ? 'full' : undefined,
    term(output, target) {
      const term = sub(ops.exp(output), mul(target, output));
      if (!full) return term;
      const many = ops.gt(target, 1),
        t = ops.select(many, target, 1);
      const stirling = add(sub(mul(t, ops.log(t)), t), mul(0.5, ops.log(mul(2 * Math.PI, t))));
      return add(term, ops.select(many, stirling, 0));
    },
    check: (t) => (t >= 0 ? null : `target ${t} is negative`),
    likelihood: normalScores((output) => ops.exp(mul(0.5, output))),
  });
}
