/** .safetensors files: named arrays, as Hugging Face models store their weights. */
import { writeFileAtomic } from '../base/atomic-write.js';
import { InputError } from '../base/errors.js';
import { type ArrayDType, elementCount, type NdArray, toBytes } from '../base/ndarray.js';
import { quoted } from '../base/quote.js';
import { RandomAccessFile } from './random-access.js';
import { buildSafetensorsHeader, readSafetensorsHeader } from './safetensors-header.js';
import { type ArraySource, converted, fileSource, readAll } from './source.js';

/**
 * All arrays of a .safetensors file by name, in the order of their data. 8-bit floats come as the narrowest wider type
 * that holds all their values (E4M3 and E5M2 as float16, E8M0 as bfloat16); `__metadata__` is left out.
 * Throws InputError for what is malformed or truncated, UnsupportedError for other element types.
 */
export async function readSafetensors(path: string): Promise<Map<string, NdArray>> {
  const file = await RandomAccessFile.open(path);
  try {
    const arrays = new Map<string, NdArray>();
    for (const [name, source] of await safetensorsSources(file)) arrays.set(name, await readAll(source));
    return arrays;
  } finally {
    await file.close();
  }
}

/** Writes arrays by name; the same arrays give the same bytes. The file appears complete or not at all. */
export async function writeSafetensors(
  path: string,
  arrays: ReadonlyMap<string, NdArray> | Readonly<Record<string, NdArray>>,
): Promise<void> {
  const named: ReadonlyMap<string, NdArray> = arrays instanceof Map ? arrays : new Map(Object.entries(arrays));
  for (const [name, { shape, data }] of named) {
    if (name === '__metadata__') throw new InputError(`${path}: no array can be named ${quoted(name)}`);
    if (elementCount(shape) !== data.length)
      throw new InputError(
        `${path}: array ${quoted(name)} has ${data.length} values where its shape [${shape.join(', ')}] needs ${elementCount(shape)}`,
      );
  }
  const { header, order } = buildSafetensorsHeader(named);
  await writeFileAtomic(path, async (sink) => {
    await sink.write(header);
    for (const name of order) await sink.write(toBytes(named.get(name) as NdArray));
  });
}

/** The arrays of an open file by name. Only the header is read now. */
export async function safetensorsSources(file: RandomAccessFile): Promise<Map<string, ArraySource>> {
  const sources = new Map<string, ArraySource>();
  for (const { name, type, shape, offset } of await readSafetensorsHeader(file)) {
    const what = `array ${quoted(name)} in ${file.path}`;
    const { dtype, decode } = type;
    const stored = fileSource(file, offset, decode ? 'uint8' : dtype, true, shape, what);
    sources.set(name, decode ? converted(stored, dtype, decodedBy(dtype, decode)) : stored);
  }
  return sources;
}

function decodedBy(dtype: ArrayDType, table: Uint16Array): (raw: NdArray) => NdArray {
  return ({ shape, data }) => {
    const bits = Uint16Array.from(data as Uint8Array, (byte) => table[byte] as number);
    return { dtype, shape, data: bits } as NdArray;
  };
}
