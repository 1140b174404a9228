import type { NativeBinding } from '../../src/device/native.js';
declare const binding: NativeBinding;
export = binding;
