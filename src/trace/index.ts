export type { RandomStream } from '../base/philox.js';
export type { Initialiser } from './initialisers.js';
/** Initial values of parameters, drawn from a seed: functions of a shape and a random stream. */
export * as initialisers from './initialisers.js';
export type { Layer } from './layers.js';
/** Parameters with initial values, and the function that uses them; names and shapes are PyTorch's. */
export * as layers from './layers.js';
/** Everything a traced function is written with: primitives, activations, functions of layers, derivatives. */
export * as nn from './nn.js';
export * from './trace.js';
export * from './trace-function.js';
