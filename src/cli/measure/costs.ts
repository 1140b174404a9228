/** What one sample and one batch of a model cost, counted from its compiled programs without running them. */
import type { Dataset } from '../../data/index.js';
import type { Device } from '../../device/device.js';
import type { Loss } from '../../model/loss.js';
import { meanLoss } from '../../model/mean-loss.js';
import type { Model } from '../../model/model.js';
import { type CurvatureOptions, curvature } from '../../operators/create.js';
import { GradientEvaluator } from '../../operators/gradient.js';

export interface Costs {
  /** floating-point operations of the matrix products and convolutions, per sample */
  readonly flops: { readonly forward: number; readonly gradient: number; readonly hessianProduct: number };
  /** per batch of `batchSize`: what products share, and the work space of one */
  readonly bytes: { readonly residuals: number; readonly perProduct: number };
  readonly batchSize: number;
}

export interface Subject {
  readonly model: Model;
  readonly data: Dataset;
  readonly loss: Loss;
  readonly device: Device;
  readonly batchSize: number | undefined;
  readonly output: string | undefined;
}

export async function countCosts(
  { model, data, loss, device, batchSize, output }: Subject,
  options: CurvatureOptions,
): Promise<Costs> {
  const operator = await curvature('hessian', meanLoss(model, loss, data, { batchSize, output }), {
    ...options,
    device,
    block: 1,
  });
  try {
    const { execution } = operator;
    const evaluator = new GradientEvaluator(execution);
    const samples = execution.extent(0);
    return {
      flops: {
        forward: evaluator.flops(false) / samples,
        gradient: evaluator.flops(true) / samples,
        hessianProduct: operator.flops.product / samples,
      },
      bytes: { residuals: operator.plan.residuals, perProduct: operator.plan.scratch },
      batchSize: samples,
    };
  } finally {
    operator.dispose();
  }
}
