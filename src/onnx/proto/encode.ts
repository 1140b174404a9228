/** OnnxModel → bytes: the inverse of decode, field by field. */
import { type NdArray, toBytes } from '../../base/ndarray.js';
import { dataTypeCode } from './datatypes.js';
import {
  type OnnxAttribute,
  type OnnxFunction,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxSparseTensor,
  type OnnxTensor,
  type OnnxType,
  type OnnxValueInfo,
  onnxAttributeTypes,
} from './types.js';
import { WireReader } from './wire.js';
import { WireWriter } from './wire-writer.js';

/**
 * Encodes a model. decodeModel(encodeModel(m)) equals m up to byte ranges and up to typed data, whose message
 * is cut down to the data. To change weights in an existing file use `replaceRanges`, which keeps
 * every other byte.
 */
export function encodeModel(model: OnnxModel): Uint8Array {
  const w = new WireWriter();
  w.int(1, model.irVersion);
  w.text(2, model.producerName).text(3, model.producerVersion).text(4, model.domain);
  if (model.modelVersion !== 0) w.int(5, model.modelVersion);
  w.text(6, model.docString);
  w.message(7, (inner) => writeGraph(inner, model.graph));
  writeOpsetImports(w, 8, model.opsetImports);
  writeEntries(w, 14, model.metadata);
  for (const each of model.functions) w.message(25, (inner) => writeFunction(inner, each));
  return w.finish();
}

/** A tensor that holds `array` as raw data. */
export function makeTensor(name: string, array: NdArray): OnnxTensor {
  return {
    name,
    docString: '',
    dataType: array.dtype,
    dims: array.shape,
    metadata: new Map(),
    payload: { kind: 'raw', bytes: toBytes(array) },
  };
}

/** The bytes of a TensorProto, without tag and length. */
export function encodeTensor(tensor: OnnxTensor): Uint8Array {
  const w = new WireWriter();
  writeTensor(w, tensor);
  return w.finish();
}

function writeGraph(w: WireWriter, graph: OnnxGraph): void {
  for (const node of graph.nodes) w.message(1, (inner) => writeNode(inner, node));
  w.text(2, graph.name);
  for (const tensor of graph.initializers) w.message(5, (inner) => writeTensor(inner, tensor));
  w.text(10, graph.docString);
  writeValueInfos(w, 11, graph.inputs);
  writeValueInfos(w, 12, graph.outputs);
  writeValueInfos(w, 13, graph.valueInfos);
  for (const tensor of graph.sparseInitializers) w.message(15, (inner) => writeSparseTensor(inner, tensor));
}

function writeNode(w: WireWriter, node: OnnxNode): void {
  for (const name of node.inputs) w.string(1, name); // '' too: it holds the place of an input left out
  for (const name of node.outputs) w.string(2, name);
  w.text(3, node.name).string(4, node.opType);
  for (const attribute of node.attributes.values()) w.message(5, (inner) => writeAttribute(inner, attribute));
  w.text(6, node.docString).text(7, node.domain).text(8, node.overload);
  writeEntries(w, 9, node.metadata);
}

function writeAttribute(w: WireWriter, attribute: OnnxAttribute): void {
  w.text(1, attribute.name);
  switch (attribute.type) {
    case 'float':
      w.float(2, attribute.value);
      break;
    case 'int':
      w.int(3, attribute.value);
      break;
    case 'string':
      w.string(4, attribute.value);
      break;
    case 'tensor':
      w.message(5, (inner) => writeTensor(inner, attribute.value));
      break;
    case 'graph':
      w.message(6, (inner) => writeGraph(inner, attribute.value));
      break;
    case 'floats':
      w.packedFloats(7, attribute.value);
      break;
    case 'ints':
      w.packedInts(8, attribute.value);
      break;
    case 'strings':
      for (const value of attribute.value) w.string(9, value);
      break;
    case 'tensors':
      for (const value of attribute.value) w.message(10, (inner) => writeTensor(inner, value));
      break;
    case 'graphs':
      for (const value of attribute.value) w.message(11, (inner) => writeGraph(inner, value));
      break;
    case 'typeProto':
      w.message(14, (inner) => writeType(inner, attribute.value));
      break;
    case 'typeProtos':
      for (const value of attribute.value) w.message(15, (inner) => writeType(inner, value));
      break;
    case 'sparseTensor':
      w.message(22, (inner) => writeSparseTensor(inner, attribute.value));
      break;
    case 'sparseTensors':
      for (const value of attribute.value) w.message(23, (inner) => writeSparseTensor(inner, value));
      break;
    case 'reference':
      w.string(21, attribute.to);
      break;
  }
  const type = attribute.type === 'reference' ? attribute.of : attribute.type;
  if (type) w.int(20, onnxAttributeTypes.indexOf(type) + 1);
}

function writeTensor(w: WireWriter, tensor: OnnxTensor): void {
  const { payload } = tensor;
  w.packedInts(1, tensor.dims).int(2, dataTypeCode(tensor.dataType));
  w.text(8, tensor.name);
  switch (payload.kind) {
    case 'raw':
      w.bytes(9, payload.bytes);
      break;
    case 'fields':
      copyTypedFields(w, payload.message);
      break;
    case 'external': {
      const entries = new Map([
        ['location', payload.location],
        ['offset', String(payload.offset)],
      ]);
      if (payload.length !== undefined) entries.set('length', String(payload.length));
      writeEntries(w, 13, entries);
      w.int(14, 1);
    }
  }
  w.text(12, tensor.docString);
  writeEntries(w, 16, tensor.metadata);
}

/** Field numbers of float_data, int32_data, string_data, int64_data, double_data and uint64_data. */
const typedFields: ReadonlySet<number> = new Set([4, 5, 6, 7, 10, 11]);

function copyTypedFields(w: WireWriter, message: Uint8Array): void {
  const r = new WireReader(message, 'malformed tensor');
  for (let start = r.at; r.next(); start = r.at) {
    r.skip();
    if (typedFields.has(r.field)) w.raw(message.subarray(start, r.at));
  }
}

function writeSparseTensor(w: WireWriter, tensor: OnnxSparseTensor): void {
  w.message(1, (inner) => writeTensor(inner, tensor.values));
  w.message(2, (inner) => writeTensor(inner, tensor.indices));
  w.packedInts(3, tensor.dims);
}

function writeValueInfos(w: WireWriter, field: number, infos: readonly OnnxValueInfo[]): void {
  for (const { name, docString, type } of infos) {
    w.message(field, (inner) => {
      inner.text(1, name);
      if (type) inner.message(2, (t) => writeType(t, type));
      inner.text(3, docString);
    });
  }
}

function writeType(w: WireWriter, type: OnnxType): void {
  switch (type.kind) {
    case 'tensor':
    case 'sparseTensor':
      w.message(type.kind === 'tensor' ? 1 : 8, (inner) => {
        inner.int(1, dataTypeCode(type.elementType));
        const { shape } = type;
        if (shape)
          inner.message(2, (s) => {
            for (const dim of shape)
              s.message(1, (d) => {
                if (typeof dim === 'number') d.int(1, dim);
                else if (dim !== undefined) d.string(2, dim);
              });
          });
      });
      return;
    case 'sequence':
    case 'optional':
      w.message(type.kind === 'sequence' ? 4 : 9, (inner) => {
        const { element } = type;
        if (element) inner.message(1, (e) => writeType(e, element));
      });
      return;
    case 'map':
      w.message(5, () => undefined);
      return;
    case 'unknown':
  }
}

function writeFunction(w: WireWriter, each: OnnxFunction): void {
  w.text(1, each.name);
  for (const name of each.inputs) w.string(4, name);
  for (const name of each.outputs) w.string(5, name);
  for (const name of each.attributes) w.string(6, name);
  for (const node of each.nodes) w.message(7, (inner) => writeNode(inner, node));
  w.text(8, each.docString);
  writeOpsetImports(w, 9, each.opsetImports);
  w.text(10, each.domain);
  for (const attribute of each.attributeDefaults.values()) w.message(11, (inner) => writeAttribute(inner, attribute));
  writeValueInfos(w, 12, each.valueInfos);
  w.text(13, each.overload);
}

function writeOpsetImports(w: WireWriter, field: number, imports: ReadonlyMap<string, number>): void {
  for (const [domain, version] of imports) w.message(field, (inner) => inner.text(1, domain).int(2, version));
}

function writeEntries(w: WireWriter, field: number, entries: ReadonlyMap<string, string>): void {
  for (const [key, value] of entries) w.message(field, (inner) => inner.string(1, key).string(2, value));
}
