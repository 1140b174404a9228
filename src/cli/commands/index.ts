/** Every command, in the order of the help. */
import type { CommandModule } from '../command.js';
import { bench } from './bench.js';
import { diag } from './diag.js';
import { doctor } from './doctor.js';
import { eigs } from './eigs.js';
import { info } from './info.js';
import { product } from './product.js';
import { prune } from './prune.js';
import { quantize } from './quantize.js';
import { spectrum } from './spectrum.js';
import { trace } from './trace.js';
import { train } from './train.js';

export const commands: readonly CommandModule[] = [
  info,
  product,
  spectrum,
  eigs,
  trace,
  diag,
  train,
  prune,
  quantize,
  bench,
  doctor,
];
