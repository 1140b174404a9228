/**
 * hessia: second-order and curvature analysis of neural networks.
 *
 *   const model = await loadModel('cnn.onnx');
 *   const data = await openDataset('test.npz');
 *   const H = await hessian(meanLoss(model, crossEntropy(), data));
 *   const s = await spectrum(H, { steps: 100, probes: 10 });
 */
export * from './base/errors.js';
export * from './data/index.js';
export { Block, type FloatArray, type Orthogonalization } from './device/block.js';
export { Device } from './device/device.js';
export type { Distribution } from './device/native.js';
export { type DeviceName, type DeviceOptions, openDevice } from './device/open.js';
/** Activations, normalisations and the like on values of a graph, with every option given; `nn` has the familiar names. */
export * as functions from './graph/functions.js';
export {
  type BinaryName,
  type CompareName,
  type ConstantData,
  type ConvAttributes,
  type DType,
  type FloatDType,
  Graph,
  type Node,
  type Origin,
  type PrimitiveName,
  type Primitives,
  type Shape,
  type UnaryName,
  type WindowAttributes,
} from './graph/index.js';
/** The primitives as functions on values of a graph, with NumPy broadcasting for those by elements. */
export * as ops from './graph/ops.js';
export * from './mfac/index.js';
export * from './model/loss.js';
export { type BatchCoupled, type MeanLoss, type MeanLossOptions, meanLoss } from './model/mean-loss.js';
export type { BuildOptions, Mode, Model, ModelInput, ModelOutput, Parameter, StoredValues } from './model/model.js';
export type { ParameterChoice } from './model/objective.js';
export { type NamedParameters, parameterArrays, withParameters } from './model/with-parameters.js';
export {
  type ImportedModel,
  type LoadOptions,
  loadOnnx as loadModel,
  type OnnxBuildOptions,
  type ParameterValues,
  requireBatchNorm,
  type WeightsInFewBits,
  writeOnnx,
  writeQuantizedOnnx,
} from './onnx/index.js';
export * from './operators/algebra.js';
export * from './operators/create.js';
export { type CurvatureName, CurvatureOperator, type MemoryPlan, type MetricName } from './operators/curvature.js';
export * from './operators/dense.js';
export * from './operators/derivatives.js';
export { type Evaluation, evaluate } from './operators/evaluation.js';
export { GradientEvaluator, type GradientResult } from './operators/gradient.js';
export * from './operators/linear-operator.js';
export { type StepOptions, type StepResult, TrainingStep } from './operators/training-step.js';
export * from './operators/user-operator.js';
/** First-order methods as pure functions, M-FAC on the device, and schedules of the learning rate. */
export * as optimizers from './optimizers/index.js';
export * from './pruning/index.js';
export * from './quantization/index.js';
export * from './solvers/index.js';
export * from './taps/index.js';
export * from './trace/index.js';
export * from './training/index.js';
