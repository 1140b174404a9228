export { type ColumnFile, type ColumnSource, npyColumns } from './column-source.js';
export { type MfacOptions, mfac, mfacBlocks } from './create.js';
export type { Damping } from './damping.js';
export { GradientRows, type GradientRowsOptions, type RowRange } from './gradients.js';
export { FisherOperator } from './products.js';
export { type GradientArray, StaticFisher, type StaticFisherOptions } from './static.js';
export { BlockDiagonalInverse, type BlockFisherOptions } from './static-blocks.js';
export { StreamedFisher, type StreamedFisherOptions } from './streamed.js';
export { GradientWindow, type WindowOptions, type WindowState } from './window.js';
