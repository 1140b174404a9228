/** Solvers: each takes any LinearOperator. */
export { type CgOptions, type CgOutcome, type CgResult, type CgStatus, cg } from './cg.js';
export { type Density, density, kernelWidth } from './density.js';
export { type DiagonalMethod, type DiagonalOptions, type DiagonalResult, diagonal } from './diagonal.js';
export { type Eigenpair, type EigsOptions, type EigsResult, eigs, type Which } from './eigs.js';
export type { Eigenvalue } from './extremes.js';
export { type InverseOptions, inverse } from './inverse.js';
export { type LanczosOptions, type LanczosRun, lanczos, type Tridiagonal } from './lanczos.js';
export type { Progress, RunOptions } from './progress.js';
export { type Quadrature, quadrature } from './quadrature.js';
export { type SpectrumOptions, type SpectrumResult, spectrum } from './spectrum.js';
export type { Estimate } from './statistics.js';
export {
  type EstimateFunctionTraceOptions,
  type EstimateTraceOptions,
  estimateFunctionTrace,
  estimateTrace,
  type MatrixFunction,
  matrixFunctions,
  type TraceMethod,
  type TraceResult,
} from './trace.js';
export { type TridiagonalEigen, tridiagonalEigen } from './tridiagonal.js';
