/** Whether a file still has the batch normalisations of the model it was exported from. */
import { InputError } from '../base/errors.js';
import type { Model } from '../model/model.js';

/** what torch's classic exporter calls the weight of a convolution into which it merged a batch normalisation */
const mergedWeight = /^onnx::Conv_\d+$/;

/**
 * For those who mean to train batch normalisation: refuses files without any, and files whose weights' names say that it
 * was merged into convolutions. Exporters for inference do both; what they merged into weights that kept their names cannot
 * be seen beside a BatchNormalization that is left. Throws InputError naming the export options that keep it.
 */
export function requireBatchNorm(model: Model): void {
  const how =
    'export it with torch.onnx.export(..., dynamo=True, optimize=False), or by the classic exporter (dynamo=False) with ' +
    'training=torch.onnx.TrainingMode.PRESERVE';
  if (!model.operators.has('BatchNormalization'))
    throw new InputError(
      `${model.source} has no BatchNormalization to train: exporters merge it into the weights before it; ${how}`,
    );
  const merged = model.parameters.filter(
    (p) => mergedWeight.test(p.name) && p.shape.length > 2 && p.consumers.some((c) => c.startsWith('Conv')),
  );
  if (merged.length > 0)
    throw new InputError(
      `${model.source} has BatchNormalization merged into ${merged.length} of its convolutions (such as '${merged[0]?.name}'); ${how}`,
    );
}
