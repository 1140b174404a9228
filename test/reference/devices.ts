/** The devices every solver test runs on: the plain reference, and the native core with one and several threads. */
import type { Device } from '../../src/device/device.js';
import { openDevice } from '../../src/device/open.js';
import { hostDevice } from './host-device.js';

export const devices: [string, () => Device][] = [
  ['the reference device', hostDevice],
  ['the CPU, one thread', () => openDevice({ device: 'cpu', threads: 1 })],
  ['the CPU, four threads', () => openDevice({ device: 'cpu', threads: 4 })],
];
