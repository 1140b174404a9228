export type { Initialiser } from './initialisers.js';
export * as initialisers from './initialisers.js';
export type { Layer } from './layers.js';
export * as layers from './layers.js';
export * as nn from './nn.js';
export * from './trace.js';
export * from './trace-function.js';
