/** Opening devices: the one place that loads the native core. */
import { closeSync, openSync } from 'node:fs';
import binding from '#binding';
import { cached } from '../base/cached.js';
import { fileError, fromNative, InputError, MissingEnvironmentError } from '../base/errors.js';
import { Device } from './device.js';
import type { CpuInfo, CudaInfo } from './native.js';

/** Which device: see `DeviceOptions.device`. */
export type DeviceName = 'auto' | 'cpu' | 'cuda';

/** Options of `openDevice`. */
export interface DeviceOptions {
  /** 'auto' takes a GPU where there is one and its plug-in is built, else the CPU. Default 'auto'. */
  readonly device?: DeviceName;
  /** Threads that compute on the CPU; 0 or absent: all cores. */
  readonly threads?: number;
  /** Let oneDNN serve float32 products where it is found. Default true. */
  readonly useOneDNN?: boolean;
}

/** what the native core allows */
const mostThreads = 1024;

/** A new device with its own queue and threads. The caller disposes it. */
export function openDevice(options: DeviceOptions = {}): Device {
  const { device = 'auto', threads = 0, useOneDNN = true } = options;
  if (!Number.isSafeInteger(threads) || threads < 0 || threads > mostThreads) {
    throw new InputError(`threads must be a whole number up to ${mostThreads}, 0 for all cores, not ${threads}`);
  }
  if (!['auto', 'cpu', 'cuda'].includes(device))
    throw new InputError(`device must be auto, cpu or cuda, not ${String(device)}`);
  if (kindOf(device) === 'cuda') return openCuda();
  const info = nativeInfo();
  refuseUnwritableTrace();
  const count = threads === 0 ? info.cores : threads;
  const parts = [info.isa, `${count} ${count === 1 ? 'thread' : 'threads'}`];
  if (useOneDNN && info.oneDNN !== null) parts.push(info.oneDNN);
  try {
    const native = binding.createCpuDevice({ threads, useOneDNN });
    return new Device(native, { kind: 'cpu', threads: count, name: `cpu (${parts.join(', ')})` });
  } catch (error) {
    throw fromNative(error);
  }
}

function openCuda(): Device {
  const info = cudaInfo();
  if (!info.available) throw new MissingEnvironmentError(`device cuda: ${info.reason}; or choose --device cpu`);
  try {
    const name = `cuda (${info.name}, ${info.detail})`;
    return new Device(binding.createCudaDevice(), { kind: 'cuda', threads: 0, name });
  } catch (error) {
    throw fromNative(error);
  }
}

function kindOf(device: DeviceName): 'cpu' | 'cuda' {
  if (device !== 'auto') return device;
  return cudaInfo().available ? 'cuda' : 'cpu';
}

let cuda: CudaInfo | undefined;

/** The GPU and its plug-in, or why there is none. Looked for once. */
export function cudaInfo(): CudaInfo {
  try {
    cuda ??= binding.cudaInfo();
    return cuda;
  } catch (error) {
    throw fromNative(error);
  }
}

/** The processor and what the native core made of it. Throws MissingEnvironmentError where the core is not built. */
export function nativeInfo(): CpuInfo {
  try {
    return binding.cpuInfo();
  } catch (error) {
    throw fromNative(error);
  }
}

/** The native core logs to this file, and has nobody to tell that it cannot. */
function refuseUnwritableTrace(): void {
  const path = process.env.HESSIA_TRACE;
  if (path === undefined || path === '' || path === '0' || path === '1') return;
  try {
    closeSync(openSync(path, 'a'));
  } catch (error) {
    throw fileError('write the trace (HESSIA_TRACE) to', path, error);
  }
}

const shared = new Map<string, Device>();

/**
 * The device of operators that were given none: one for each number of threads, opened on first use, never closed.
 * Operators that name the same number share it, and so can be combined.
 */
export function sharedDevice({ device = 'auto', threads = 0 }: Pick<DeviceOptions, 'device' | 'threads'> = {}): Device {
  const kind = kindOf(device);
  return cached(shared, `${kind} ${threads}`, () => openDevice({ device: kind, threads }));
}
