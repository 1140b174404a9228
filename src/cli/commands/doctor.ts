/** What this machine offers and what is missing. */
import { availableParallelism, cpus, totalmem } from 'node:os';
import type { Command } from 'commander';
import { formatBytes } from '../../base/format.js';
import type { CommandModule, Context, OptionValues, Outcome } from '../command.js';
import { addOutputOptions } from '../options/shared.js';
import { libraryAdvice } from '../output/advice.js';
import { formatFlops } from '../output/flops.js';
import { Lines } from '../output/lines.js';

export const doctor: CommandModule = {
  name: 'doctor',
  define(command: Command): void {
    command.description('what this machine offers: instruction set, libraries, speed');
    addOutputOptions(command);
  },
  async run(_args, _values: OptionValues, context: Context): Promise<Outcome> {
    const { cudaInfo, nativeInfo, openDevice } = await import('../../device/open.js');
    const { matmulFlopsPerSecond } = await import('../measure/matmul.js');
    const native = nativeInfo();
    const device = openDevice({ device: 'cpu' });
    const speed = { float32: 0, float64: 0 };
    try {
      for (const dtype of ['float32', 'float64'] as const) {
        context.signal.throwIfAborted();
        speed[dtype] = await matmulFlopsPerSecond(device, dtype);
      }
    } finally {
      device.dispose();
    }
    const library = native.oneDNN ?? 'built-in';
    const cuda = cudaInfo();
    const mpi = { available: false, reason: 'this version has no MPI plug-in' };
    const model = native.model || (cpus()[0]?.model ?? 'unknown');
    const advice = libraryAdvice(native.oneDNN);
    const document = {
      schemaVersion: 1,
      version: context.version,
      cpu: {
        model,
        features: native.features,
        isa: native.isa,
        threads: device.threads,
        cores: availableParallelism(),
      },
      matmul: {
        library,
        flopsPerSecond: speed.float32,
        float64: { library: 'built-in', flopsPerSecond: speed.float64 },
      },
      cuda,
      mpi,
      node: process.version,
      platform: `${process.platform}-${process.arch}`,
      memory: { total: totalmem(), available: process.availableMemory() },
      advice,
    };
    const summary = new Lines()
      .text(`hessia ${context.version} on Node ${process.version}, ${document.platform}`)
      .pairs([
        ['processor', model],
        ['instructions', `${native.isa} (${native.features.join(' ')})`],
        ['threads', device.threads],
        ['memory', `${formatBytes(document.memory.available)} available of ${formatBytes(document.memory.total)}`],
        [
          'products',
          `float32 ${formatFlops(speed.float32)}/s (${library}), float64 ${formatFlops(speed.float64)}/s (built-in)`,
        ],
        ['CUDA', cuda.available ? `${cuda.name}, ${formatBytes(cuda.memory)}, ${cuda.detail}` : `no: ${cuda.reason}`],
        ['MPI', `no: ${mpi.reason}`],
      ])
      .notes(advice);
    return { document, summary };
  },
};
