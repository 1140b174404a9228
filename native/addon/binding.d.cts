import type { NativeBinding } from '../../src/device/native.js' with { 'resolution-mode': 'import' };
declare const binding: NativeBinding;
export = binding;
