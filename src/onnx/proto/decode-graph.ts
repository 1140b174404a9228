/** GraphProto, NodeProto and AttributeProto. */
import { quoted } from '../../base/quote.js';
import { decodeEntry, decodeSparseTensor, decodeTensor, type Source } from './decode-tensor.js';
import { decodeType, decodeValueInfo } from './decode-type.js';
import {
  type OnnxAttribute,
  type OnnxAttributeType,
  type OnnxGraph,
  type OnnxNode,
  type OnnxSparseTensor,
  type OnnxTensor,
  type OnnxType,
  type OnnxValueInfo,
  onnxAttributeTypes,
} from './types.js';
import type { WireReader } from './wire.js';

export function decodeGraph(r: WireReader, source: Source): OnnxGraph {
  let name = '';
  let docString = '';
  const nodes: OnnxNode[] = [];
  const initializers: OnnxTensor[] = [];
  const sparseInitializers: OnnxSparseTensor[] = [];
  const inputs: OnnxValueInfo[] = [];
  const outputs: OnnxValueInfo[] = [];
  const valueInfos: OnnxValueInfo[] = [];
  while (r.next()) {
    switch (r.field) {
      case 1:
        nodes.push(decodeNode(r.message(), source));
        break;
      case 2:
        name = r.string();
        break;
      case 5:
        initializers.push(decodeTensor(r.message(), source));
        break;
      case 10:
        docString = r.string();
        break;
      case 11:
        inputs.push(decodeValueInfo(r.message()));
        break;
      case 12:
        outputs.push(decodeValueInfo(r.message()));
        break;
      case 13:
        valueInfos.push(decodeValueInfo(r.message()));
        break;
      case 15:
        sparseInitializers.push(decodeSparseTensor(r.message(), source));
        break;
      default:
        r.skip();
    }
  }
  return { name, docString, nodes, initializers, sparseInitializers, inputs, outputs, valueInfos };
}

export function decodeNode(r: WireReader, source: Source): OnnxNode {
  let name = '';
  let opType = '';
  let domain = '';
  let overload = '';
  let docString = '';
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes = new Map<string, OnnxAttribute>();
  const metadata = new Map<string, string>();
  while (r.next()) {
    switch (r.field) {
      case 1:
        inputs.push(r.string());
        break;
      case 2:
        outputs.push(r.string());
        break;
      case 3:
        name = r.string();
        break;
      case 4:
        opType = r.string();
        break;
      case 5:
        addAttribute(r, source, attributes);
        break;
      case 6:
        docString = r.string();
        break;
      case 7:
        domain = standardDomain(r.string());
        break;
      case 8:
        overload = r.string();
        break;
      case 9:
        decodeEntry(r.message(), metadata);
        break;
      default:
        r.skip();
    }
  }
  if (opType === '') r.fail(`node ${quoted(name)} has no operator`);
  return { name, opType, domain, overload, docString, inputs, outputs, attributes, metadata };
}

/** The standard domain has two spellings. */
export function standardDomain(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain;
}

export function addAttribute(r: WireReader, source: Source, into: Map<string, OnnxAttribute>): void {
  const at = r.at;
  const attribute = decodeAttribute(r.message(), source);
  if (into.has(attribute.name)) r.fail(`attribute ${quoted(attribute.name)} stands twice in one node`, at);
  into.set(attribute.name, attribute);
}

function decodeAttribute(r: WireReader, source: Source): OnnxAttribute {
  let name = '';
  let to = '';
  let type: OnnxAttributeType | undefined;
  let f = 0;
  let i = 0;
  let s = '';
  let t: OnnxTensor | undefined;
  let g: OnnxGraph | undefined;
  let sparse: OnnxSparseTensor | undefined;
  let tp: OnnxType | undefined;
  const floats: number[] = [];
  const ints: number[] = [];
  const strings: string[] = [];
  const tensors: OnnxTensor[] = [];
  const graphs: OnnxGraph[] = [];
  const sparseTensors: OnnxSparseTensor[] = [];
  const typeProtos: OnnxType[] = [];
  // Files of IR version 1 and 2 may leave the type out: then it is that of the field which is there.
  let implied: OnnxAttributeType | undefined;
  while (r.next()) {
    implied = fieldTypes[r.field] ?? implied;
    switch (r.field) {
      case 1:
        name = r.string();
        break;
      case 2:
        f = r.float();
        break;
      case 3:
        i = r.int();
        break;
      case 4:
        s = r.string();
        break;
      case 5:
        t = decodeTensor(r.message(), source);
        break;
      case 6:
        g = decodeGraph(r.message(), source);
        break;
      case 7:
        r.repeated(5, (each) => floats.push(each.float()));
        break;
      case 8:
        r.repeated(0, (each) => ints.push(each.int()));
        break;
      case 9:
        strings.push(r.string());
        break;
      case 10:
        tensors.push(decodeTensor(r.message(), source));
        break;
      case 11:
        graphs.push(decodeGraph(r.message(), source));
        break;
      case 14:
        tp = decodeType(r.message());
        break;
      case 15:
        typeProtos.push(decodeType(r.message()));
        break;
      case 20: {
        const at = r.at;
        const code = r.int();
        type = onnxAttributeTypes[code - 1];
        if (type === undefined && code !== 0) r.fail(`attribute ${quoted(name)} has the unknown type ${code}`, at);
        break;
      }
      case 21:
        to = r.string();
        break;
      case 22:
        sparse = decodeSparseTensor(r.message(), source);
        break;
      case 23:
        sparseTensors.push(decodeSparseTensor(r.message(), source));
        break;
      default:
        r.skip();
    }
  }
  if (to !== '') return { name, type: 'reference', to, of: type };
  const given = <T>(value: T | undefined): T => value ?? r.fail(`attribute ${quoted(name)} has no value`);
  const kind = given(type ?? implied);
  switch (kind) {
    case 'float':
      return { name, type: kind, value: f };
    case 'int':
      return { name, type: kind, value: i };
    case 'string':
      return { name, type: kind, value: s };
    case 'tensor':
      return { name, type: kind, value: given(t) };
    case 'graph':
      return { name, type: kind, value: given(g) };
    case 'sparseTensor':
      return { name, type: kind, value: given(sparse) };
    case 'typeProto':
      return { name, type: kind, value: given(tp) };
    case 'floats':
      return { name, type: kind, value: floats };
    case 'ints':
      return { name, type: kind, value: ints };
    case 'strings':
      return { name, type: kind, value: strings };
    case 'tensors':
      return { name, type: kind, value: tensors };
    case 'graphs':
      return { name, type: kind, value: graphs };
    case 'sparseTensors':
      return { name, type: kind, value: sparseTensors };
    case 'typeProtos':
      return { name, type: kind, value: typeProtos };
  }
}

/** The type that each value field of AttributeProto stands for. */
const fieldTypes: Readonly<Record<number, OnnxAttributeType>> = {
  2: 'float',
  3: 'int',
  4: 'string',
  5: 'tensor',
  6: 'graph',
  7: 'floats',
  8: 'ints',
  9: 'strings',
  10: 'tensors',
  11: 'graphs',
  14: 'typeProto',
  15: 'typeProtos',
  22: 'sparseTensor',
  23: 'sparseTensors',
};
