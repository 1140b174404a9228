/** Solvers: each takes any LinearOperator. */
export { cg, type CgOptions, type CgOutcome, type CgResult, type CgStatus } from './cg.js';
export { type Density, density, kernelWidth } from './density.js';
export { diagonal, type DiagonalMethod, type DiagonalOptions, type DiagonalResult } from './diagonal.js';
export { type Eigenpair, eigs, type EigsOptions, type EigsResult, type Which } from './eigs.js';
export type { Eigenvalue } from './extremes.js';
export { inverse, type InverseOptions } from './inverse.js';
export { lanczos, type LanczosOptions, type LanczosRun, type Tridiagonal } from './lanczos.js';
export type { Progress, RunOptions } from './progress.js';
export { type Quadrature, quadrature } from './quadrature.js';
export { spectrum, type SpectrumOptions, type SpectrumResult } from './spectrum.js';
export type { Estimate } from './statistics.js';
export { functionTrace, type FunctionTraceOptions, matrixFunctions, trace, type TraceMethod, type TraceOptions, type TraceResult } from './trace.js';
export { tridiagonalEigen, type TridiagonalEigen } from './tridiagonal.js';
