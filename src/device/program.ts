/** A compiled program on a device, with its constants; bindings are attached by name for each run. */
import { InternalError } from '../base/errors.js';
import type { Program } from '../program/format.js';
import { encodeProgram } from '../program/format.js';
import type { Device } from './device.js';
import type { NativeBuffer, NativeProgram } from './native.js';

/** What is attached to a binding: a buffer from a byte offset on. */
export interface Attachment {
  readonly buffer: NativeBuffer;
  readonly byteOffset: number;
}
export interface ProgramSource {
  readonly program: Program;
  readonly labels: readonly string[];
  /** what stands where in the binding named 'constants' */
  readonly constants: readonly { readonly offset: number; readonly bytes: Uint8Array }[];
  readonly scratchBytes: number;
  readonly flops: number;
}

export class LoadedProgram {
  readonly source: ProgramSource;
  readonly #device: Device;
  readonly #native: NativeProgram;
  readonly #constants: NativeBuffer;

  constructor(device: Device, source: ProgramSource) {
    this.source = source;
    this.#device = device;
    this.#native = device.guard(() => device.native.load(encodeProgram(source.program), [...source.labels]));
    const { bytes } = source.program.bindings.find(({ name }) => name === 'constants') ?? { bytes: 64 };
    this.#constants = device.allocate(bytes);
    device.guard(() => {
      for (const part of source.constants) device.native.write(this.#constants, part.offset, part.bytes);
    });
  }

  /** Queues one run. 'constants' is attached by the program itself. */
  run(attachments: ReadonlyMap<string, Attachment>, signal: AbortSignal | undefined): void {
    const { buffers, offsets } = this.#bind(attachments);
    this.#device.withToken(signal, (token) => {
      this.#device.guard(() => {
        this.#device.native.run(this.#native, buffers, offsets, token);
      });
    });
  }
  /** Runs and resolves to the seconds each instruction took. */
  profile(attachments: ReadonlyMap<string, Attachment>): Promise<Float64Array> {
    const { buffers, offsets } = this.#bind(attachments);
    return this.#device.guardAsync(() => this.#device.native.profile(this.#native, buffers, offsets));
  }

  #bind(attachments: ReadonlyMap<string, Attachment>): { buffers: NativeBuffer[]; offsets: number[] } {
    const all = this.source.program.bindings.map(({ name, bytes }): Attachment => {
      if (name === 'constants') return { buffer: this.#constants, byteOffset: 0 };
      const given = attachments.get(name);
      if (given) return given;
      // an empty scratch needs no memory
      if (bytes === 0) return { buffer: this.#constants, byteOffset: 0 };
      throw new InternalError(`nothing is attached to binding '${name}'`);
    });
    return { buffers: all.map((a) => a.buffer), offsets: all.map((a) => a.byteOffset) };
  }

  dispose(): void {
    this.#native.dispose();
    this.#constants.dispose();
  }
}
