/** Plain data (numbers, text, lists, records, typed arrays) as JSON and named arrays, and back in the same bits. */
import { InputError } from '../base/errors.js';
import { type ArrayDType, arrayStorage, type NdArray } from '../base/ndarray.js';

/** what stands in the JSON where an array was */
const marker = 'array:';

const dtypes = (Object.keys(arrayStorage) as ArrayDType[]).filter(
  (d) => d !== 'float16' && d !== 'bfloat16' && d !== 'bool',
);

export function toArrays(data: unknown): { json: string; arrays: Map<string, NdArray> } {
  const arrays = new Map<string, NdArray>();
  const json = JSON.stringify(data, (_key, value: unknown) => {
    if (typeof value === 'number' && !Number.isFinite(value))
      throw new InputError(`a state that holds ${value} cannot be saved`);
    if (typeof value === 'string' && value.startsWith(marker))
      throw new InputError(`a state that holds the text '${value}' cannot be saved`);
    if (!ArrayBuffer.isView(value)) return value;
    const dtype = dtypes.find((d) => value instanceof arrayStorage[d]);
    if (!dtype) throw new InputError('a state that holds a DataView cannot be saved');
    const name = `${marker}${arrays.size}`;
    const array = value as Float64Array;
    arrays.set(name, { dtype, shape: [array.length], data: array } as NdArray);
    return name;
  });
  return { json, arrays };
}

export function fromArrays(json: string, arrays: ReadonlyMap<string, NdArray>): unknown {
  return JSON.parse(json, (_key, value: unknown) => {
    if (typeof value !== 'string' || !value.startsWith(marker)) return value;
    const array = arrays.get(value);
    if (!array) throw new InputError(`the saved state lacks its ${value}`);
    return array.data;
  });
}
