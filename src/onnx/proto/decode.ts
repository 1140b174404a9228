/** Bytes of an ONNX file → OnnxModel. */
import { InputError } from '../../base/errors.js';
import { decodeFunction, decodeOpsetImport } from './decode-function.js';
import { decodeGraph } from './decode-graph.js';
import { decodeEntry, type Source } from './decode-tensor.js';
import type { OnnxFunction, OnnxGraph, OnnxModel } from './types.js';
import { WireReader } from './wire.js';

export interface DecodeOptions {
  /** How messages name the bytes. Default: "the model". */
  readonly name?: string;
  /** Absolute path of the model file; external data is looked for beside it. */
  readonly model?: string;
}

/**
 * Decodes a ModelProto. Tensors remain views of `bytes`, so the caller must not change them afterwards.
 * Throws InputError for anything that is not a well-formed model, with the position of the fault.
 */
export function decodeModel(bytes: Uint8Array, options: DecodeOptions = {}): OnnxModel {
  const file = options.name ?? 'the model';
  refuseOtherFiles(bytes, file);
  const r: WireReader = new WireReader(bytes, `${file} is not a valid ONNX file`);
  const source: Source = { model: options.model };
  let irVersion = 0;
  let producerName = '';
  let producerVersion = '';
  let domain = '';
  let modelVersion = 0;
  let docString = '';
  let graph: OnnxGraph | undefined;
  const opsetImports = new Map<string, number>();
  const metadata = new Map<string, string>();
  const functions: OnnxFunction[] = [];
  while (r.next()) {
    switch (r.field) {
      case 1:
        irVersion = r.int();
        break;
      case 2:
        producerName = r.string();
        break;
      case 3:
        producerVersion = r.string();
        break;
      case 4:
        domain = r.string();
        break;
      case 5:
        modelVersion = r.int();
        break;
      case 6:
        docString = r.string();
        break;
      case 7: {
        const at = r.at;
        if (graph) r.fail('a second graph', at);
        graph = decodeGraph(r.message(), source);
        break;
      }
      case 8:
        decodeOpsetImport(r.message(), opsetImports);
        break;
      case 14:
        decodeEntry(r.message(), metadata);
        break;
      case 25:
        functions.push(decodeFunction(r.message(), source));
        break;
      default:
        r.skip();
    }
  }
  if (!graph) r.fail('no graph up to the end');
  return {
    irVersion,
    producerName,
    producerVersion,
    domain,
    modelVersion,
    docString,
    opsetImports,
    graph,
    functions,
    metadata,
  };
}

/** Files commonly mistaken for models get a better word than "impossible field number". */
function refuseOtherFiles(bytes: Uint8Array, file: string): void {
  if (bytes.length === 0) throw new InputError(`${file} is not a valid ONNX file: it is empty`);
  const start = String.fromCharCode(...bytes.subarray(0, 32));
  if (start.startsWith('version https://git-lfs')) {
    throw new InputError(
      `${file} is not a valid ONNX file: it is a Git LFS pointer; fetch the file itself with "git lfs pull"`,
    );
  }
  const other = start.startsWith('PK\x03\x04') ? 'a zip archive' : start.startsWith('\x93NUMPY') ? 'a NumPy array' : '';
  if (other) throw new InputError(`${file} is not a valid ONNX file: it is ${other}`);
}
