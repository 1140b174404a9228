/** The devices every solver test runs on. */
import type { Device } from '../../src/device/device.js';
import { hostDevice } from './host-device.js';

export const devices: [string, () => Device][] = [['the reference device', hostDevice]];
