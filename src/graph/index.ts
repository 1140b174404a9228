export { Graph, type Origin } from './graph.js';
export * from './node.js';
export * as ops from './ops.js';
export type { BufferUpdate } from './training.js';
