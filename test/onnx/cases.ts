/** ONNX's own test cases (folders of model.onnx and tensors as .pb), turned into models of ours. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { toFloat32 } from '../../src/base/convert.js';
import type { NdArray } from '../../src/base/ndarray.js';
import { type ImportedModel, modelFromOnnx } from '../../src/onnx/index.js';
import { NotConstant } from '../../src/onnx/op.js';
import { decodeTensor } from '../../src/onnx/proto/decode-tensor.js';
import { decodeModel, type OnnxModel, type OnnxTensor, tensorArray } from '../../src/onnx/proto/index.js';
import { WireReader } from '../../src/onnx/proto/wire.js';
import { difference, type Outcome, runModel } from './run.js';

export type CaseResult =
  | { readonly kind: 'passed'; readonly model: ImportedModel; readonly arrays: Readonly<Record<string, NdArray>> }
  | { readonly kind: 'unsupported' | 'failed'; readonly why: string };

/** the bytes of a model and of the tensors that go in and come out */
export interface CaseFiles {
  readonly name: string;
  readonly model: Uint8Array;
  readonly inputs: readonly Uint8Array[];
  readonly outputs: readonly Uint8Array[];
}
const readTensor = (bytes: Uint8Array): OnnxTensor =>
  decodeTensor(new WireReader(bytes, 'a tensor of the case'), { model: undefined });

export function caseFiles(folder: string): CaseFiles {
  const data = join(folder, 'test_data_set_0');
  const numbered = (prefix: string): Uint8Array[] =>
    readdirSync(data)
      .filter((f) => f.startsWith(prefix))
      .sort((a, b) => Number(a.match(/\d+/)) - Number(b.match(/\d+/)))
      .map((f) => readFileSync(join(data, f)));
  const model = readFileSync(join(folder, 'model.onnx'));
  return { name: folder, model, inputs: numbered('input_'), outputs: numbered('output_') };
}

/** Tensors that the case gives as inputs are constants of the file where `asConstant`. */
function withConstants(
  model: OnnxModel,
  given: readonly OnnxTensor[],
  asConstant: (t: OnnxTensor) => boolean,
): OnnxModel {
  const initializers = [...model.graph.initializers, ...given.filter(asConstant)];
  return { ...model, graph: { ...model.graph, initializers } };
}

export function runCase(files: CaseFiles, tolerance = 1e-4): CaseResult {
  const model = decodeModel(files.model);
  if ([...model.graph.inputs, ...model.graph.outputs].some((v) => v.type?.kind !== 'tensor'))
    return { kind: 'unsupported', why: 'sequences as inputs or outputs' };
  const inputs = files.inputs.map((bytes, i) => ({
    ...readTensor(bytes),
    name: model.graph.inputs[i]!.name,
  }));
  const expected = files.outputs.map(readTensor);
  if ([...inputs, ...expected].some((t) => t.dataType === 'string' || t.dataType.startsWith('complex')))
    return { kind: 'unsupported', why: 'strings or complex numbers' };
  const names = model.graph.outputs.map((o) => o.name);
  interface Attempt {
    readonly found: Map<string, Outcome>;
    readonly model: ImportedModel;
    readonly arrays: Record<string, NdArray>;
  }
  const attempt = (asConstant: (t: OnnxTensor) => boolean): Attempt | { readonly unsupported: string } => {
    const changed = withConstants(model, inputs, asConstant);
    const imported = modelFromOnnx({ path: files.name, bytes: new Uint8Array(), model: changed });
    if (imported.unsupported.length > 0) return { unsupported: imported.unsupported.join('; ') };
    const arrays: Record<string, NdArray> = Object.fromEntries(
      inputs.map((t) => {
        const a = tensorArray(t);
        return [
          t.name,
          a.dtype === 'float16' || a.dtype === 'bfloat16'
            ? { dtype: 'float32' as const, shape: a.shape, data: toFloat32(a) }
            : a,
        ];
      }),
    );
    return { found: runModel(imported, arrays), model: imported, arrays };
  };
  try {
    const whole = (t: OnnxTensor): boolean => !t.dataType.startsWith('float') && t.dataType !== 'bfloat16';
    let found: ReturnType<typeof attempt>;
    try {
      found = attempt(whole);
    } catch (error) {
      if (!(error instanceof NotConstant)) throw error;
      found = attempt(() => true);
    }
    if ('unsupported' in found) return { kind: 'unsupported', why: found.unsupported };
    for (let i = 0; i < names.length; i++) {
      const want = tensorArray(expected[i]!),
        got = found.found.get(names[i]!)!;
      if (got.shape.join() !== want.shape.join())
        return { kind: 'failed', why: `output ${i} has shape [${got.shape}], not [${want.shape}]` };
      const numbers = want.dtype === 'float16' || want.dtype === 'bfloat16' ? toFloat32(want) : want.data;
      const worst = difference(got.data, numbers as Float32Array);
      if (!(worst <= (want.dtype === 'float16' || want.dtype === 'bfloat16' ? 1e-2 : tolerance)))
        return { kind: 'failed', why: `output ${i} differs by ${worst}` };
    }
    return { kind: 'passed', model: found.model, arrays: found.arrays };
  } catch (error) {
    return { kind: 'failed', why: `${(error as Error).name}: ${(error as Error).message}` };
  }
}
