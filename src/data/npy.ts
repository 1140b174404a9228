/** .npy files. */
import { writeFileAtomic } from '../base/atomic-write.js';
import { InputError } from '../base/errors.js';
import { fromBytes, type NdArray, toBytes } from '../base/ndarray.js';
import { buildNpyHeader, npyHeaderLimit, parseNpyHeader } from './npy-header.js';
import { fromFortranOrder } from './order.js';
import { RandomAccessFile } from './random-access.js';
import { type ArraySource, fileSource, lazySource, readAll } from './source.js';

/**
 * One array from a .npy file, in row-major order and the host's byte order.
 * Throws InputError for what is malformed or truncated, UnsupportedError for types such as text.
 */
export async function readNpy(path: string): Promise<NdArray> {
  const file = await RandomAccessFile.open(path);
  try {
    return await readAll(await npySource(file));
  } finally {
    await file.close();
  }
}

/** Writes one array; the file appears complete or not at all. */
export async function writeNpy(path: string, array: NdArray): Promise<void> {
  const header = buildNpyHeader(array.dtype, array.shape);
  await writeFileAtomic(path, async (sink) => {
    await sink.write(header);
    await sink.write(toBytes(array));
  });
}

/** The array of an open .npy file. Only the header is read now. */
export async function npySource(file: RandomAccessFile): Promise<ArraySource> {
  const what = file.path;
  const header = parseNpyHeader(await file.read(0, Math.min(file.size, npyHeaderLimit)), what);
  const { dtype, littleEndian, shape, dataOffset, dataLength } = header;
  const present = file.size - dataOffset;
  if (present !== dataLength) {
    const fault = present < dataLength ? 'is truncated' : 'has bytes left over';
    throw new InputError(
      `${what} ${fault}: its shape [${shape.join(', ')}] needs ${dataLength} bytes of data, it has ${present}`,
    );
  }
  if (!header.fortranOrder || shape.length < 2) return fileSource(file, dataOffset, dtype, littleEndian, shape, what);
  // The first samples of a Fortran array are scattered over all of it.
  return lazySource(dtype, shape, what, async () =>
    fromFortranOrder(fromBytes(dtype, shape, await file.read(dataOffset, dataLength), littleEndian)),
  );
}
