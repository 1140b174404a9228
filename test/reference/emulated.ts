/** The CUDA plug-in's kernels on the processor (native/device/cuda/emulate), whatever this machine has. */
import binding from '#binding';
import { Device } from '../../src/device/device.js';

export function emulatedDevice(): Device {
  return new Device(binding.createCudaDevice('emulated'), { kind: 'cuda', threads: 0, name: 'cuda, emulated' });
}
