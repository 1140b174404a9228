/** Parameters out of a model and into it, by name. */
import { createHash } from 'node:crypto';
import { toFloat32 } from '../base/convert.js';
import { InputError, ShapeError } from '../base/errors.js';
import { isFloat, type NdArray, toBytes } from '../base/ndarray.js';
import { type ArrayInput, toNdArray } from '../data/from-arrays.js';
import type { Model, Parameter } from './model.js';

/** Values by parameter name: a Map or an object. */
export type NamedParameters<T> = ReadonlyMap<string, T> | Readonly<Record<string, T>>;

/** Every parameter by name, float32 or float64 as stored (16-bit floats widened): what `writeSafetensors` takes. */
export function parameterArrays(model: Model): Map<string, NdArray> {
  return new Map(model.parameters.map((p) => [p.name, arrayOf(p)]));
}

/**
 * The same model with other values of its parameters: all of them, by name and shape, 16-bit floats widened. The
 * given model is not changed. Throws InputError that lists the names which are missing, unknown or misshapen.
 */
export function withParameters(model: Model, values: NamedParameters<ArrayInput>): Model {
  const given: ReadonlyMap<string, ArrayInput> = values instanceof Map ? values : new Map(Object.entries(values));
  const known = new Set(model.parameters.map((p) => p.name));
  const missing = [...known].filter((name) => !given.has(name));
  const extra = [...given.keys()].filter((name) => !known.has(name));
  const lists = [
    ...(missing.length > 0 ? [`no values are given for ${missing.join(', ')}`] : []),
    ...(extra.length > 0
      ? [`${extra.join(', ')} ${extra.length === 1 ? 'is no parameter' : 'are no parameters'}`]
      : []),
  ];
  if (lists.length > 0)
    throw new InputError(`values do not fit the parameters of ${model.source}: ${lists.join('; ')}`);
  const misshapen = model.parameters.flatMap(({ name, shape }) => {
    const own = (given.get(name) as ArrayInput).shape;
    return own.join() === shape.join() ? [] : [`${name} is [${shape.join(', ')}], given [${own.join(', ')}]`];
  });
  if (misshapen.length > 0)
    throw new ShapeError(`values do not fit the parameters of ${model.source}: ${misshapen.join('; ')}`);
  const parameters = model.parameters.map((p): Parameter => {
    const array = toNdArray(given.get(p.name) as ArrayInput, `parameter '${p.name}'`);
    if (!isFloat(array.dtype)) throw new InputError(`parameter '${p.name}' must hold floats, not ${array.dtype}`);
    return { ...p, values: () => (array.dtype === 'float64' ? array.data : toFloat32(array)) };
  });
  let fingerprint: string | undefined;
  const { source, inputs, outputs, buffers, operators, unsupported, fixedBatch, warnings, mode } = model;
  return {
    ...{ source, inputs, outputs, buffers, operators, unsupported, fixedBatch, warnings, mode },
    parameters,
    get fingerprint() {
      fingerprint ??= digest(model, parameters);
      return fingerprint;
    },
    build(options) {
      // those that are not differentiated are constants here too, with the new values
      const constants = parameters
        .filter((p) => !options.parameters.has(p.name))
        .map((p) => [p.name, options.graph.constant(p.values(), p.shape, options.dtype)] as const);
      return model.build({ ...options, parameters: new Map([...options.parameters, ...constants]) });
    },
  };
}

function arrayOf({ shape, values }: Parameter): NdArray {
  const data = values();
  return data instanceof Float32Array ? { dtype: 'float32', shape, data } : { dtype: 'float64', shape, data };
}

function digest(model: Model, parameters: readonly Parameter[]): string {
  const hash = createHash('sha256').update(model.fingerprint);
  for (const p of parameters) hash.update(toBytes(arrayOf(p)));
  return hash.digest('hex');
}
