/** The operators this version imports: one entry each, by family. */
import type { OpRule, OpTable } from './op.js';
import { activationOps } from './ops/activations.js';
import { arithmeticOps } from './ops/arithmetic.js';
import { attentionOps } from './ops/attention.js';
import { constantOps } from './ops/constants.js';
import { contribOps } from './ops/contrib.js';
import { controlOps } from './ops/control.js';
import { convolutionOps } from './ops/convolution.js';
import { gatherOps } from './ops/gather.js';
import { gridSampleOps } from './ops/grid-sample.js';
import { lossOps } from './ops/losses.js';
import { normalizationOps } from './ops/normalization.js';
import { poolingOps } from './ops/pooling.js';
import { productOps } from './ops/products.js';
import { quantizationOps } from './ops/quantization.js';
import { recurrentOps } from './ops/recurrent.js';
import { reductionOps } from './ops/reductions.js';
import { regionOps } from './ops/regions.js';
import { resizeOps } from './ops/resize.js';
import { scatterOps } from './ops/scatter.js';
import { sequenceOps } from './ops/sequences.js';
import { shapeOps } from './ops/shapes.js';
import { signalOps } from './ops/signal.js';
import { slicingOps } from './ops/slicing.js';
import type { OnnxNode } from './proto/index.js';

const families: readonly OpTable[] = [
  arithmeticOps,
  activationOps,
  productOps,
  convolutionOps,
  poolingOps,
  normalizationOps,
  reductionOps,
  shapeOps,
  slicingOps,
  constantOps,
  gatherOps,
  scatterOps,
  sequenceOps,
  resizeOps,
  lossOps,
  quantizationOps,
  controlOps,
  attentionOps,
  gridSampleOps,
  recurrentOps,
  signalOps,
  regionOps,
  contribOps,
];
const table = new Map<string, OpRule>(families.flatMap((family) => Object.entries(family)));

export const supportedOperators: readonly string[] = [...table.keys()].sort();

/** by operator name: what of it is not supported */
export const limitsOf = (name: string): string | undefined => table.get(name)?.limits;

/** "Conv", or "com.microsoft.FusedConv" outside the standard domain */
export function qualifiedName(node: Pick<OnnxNode, 'domain' | 'opType'>): string {
  return node.domain === '' ? node.opType : `${node.domain}.${node.opType}`;
}
export const ruleOf = (node: OnnxNode): OpRule | undefined => table.get(qualifiedName(node));
