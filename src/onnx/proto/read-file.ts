/** A model file from disk. */
import { open, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileError, InputError } from '../../base/errors.js';
import { decodeModel } from './decode.js';
import { checkTensor } from './tensor-values.js';
import type { OnnxModel } from './types.js';

/** Protobuf messages cannot be larger; beyond, weights are external. */
const maxBytes = 2 ** 31 - 1;

export interface OnnxFile {
  /** absolute */
  readonly path: string;
  /** The whole file. Tensors of `model` are views of it. */
  readonly bytes: Uint8Array;
  readonly model: OnnxModel;
}

/**
 * Reads and decodes a model, and checks that the external data of its initializers is there. The data itself is
 * read when `tensorArray` asks for it. Throws InputError for whatever is wrong with the file.
 */
export async function readOnnxFile(path: string): Promise<OnnxFile> {
  const absolute = resolve(path);
  const bytes = await readBytes(path);
  const model = decodeModel(bytes, { name: path, model: absolute });
  for (const tensor of model.graph.initializers) checkTensor(tensor);
  return { path: absolute, bytes, model };
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    // Before opening: to open a named pipe would wait for a writer.
    if (!(await stat(path)).isFile()) throw new InputError(`cannot read ${path}: it is not a file`);
    const handle = await open(path, 'r');
    try {
      const { size } = await handle.stat();
      if (size > maxBytes) {
        throw new InputError(
          `${path} is not a valid ONNX file: it has ${size} bytes, more than the 2 GiB a model can have`,
        );
      }
      const bytes = new Uint8Array(size);
      for (let done = 0; done < bytes.length; ) {
        const { bytesRead } = await handle.read(bytes, done, bytes.length - done, done);
        if (bytesRead === 0) throw new InputError(`${path} became shorter while it was read`);
        done += bytesRead;
      }
      return bytes;
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fileError('read', path, error);
  }
}
