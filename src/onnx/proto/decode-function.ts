/** FunctionProto: an operator that a file defines itself. */
import { addAttribute, decodeNode, standardDomain } from './decode-graph.js';
import type { Source } from './decode-tensor.js';
import { decodeValueInfo } from './decode-type.js';
import type { OnnxAttribute, OnnxFunction, OnnxNode, OnnxValueInfo } from './types.js';
import type { WireReader } from './wire.js';

export function decodeFunction(r: WireReader, source: Source): OnnxFunction {
  let name = '';
  let domain = '';
  let overload = '';
  let docString = '';
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes: string[] = [];
  const attributeDefaults = new Map<string, OnnxAttribute>();
  const nodes: OnnxNode[] = [];
  const valueInfos: OnnxValueInfo[] = [];
  const opsetImports = new Map<string, number>();
  while (r.next()) {
    switch (r.field) {
      case 1:
        name = r.string();
        break;
      case 4:
        inputs.push(r.string());
        break;
      case 5:
        outputs.push(r.string());
        break;
      case 6:
        attributes.push(r.string());
        break;
      case 7:
        nodes.push(decodeNode(r.message(), source));
        break;
      case 8:
        docString = r.string();
        break;
      case 9:
        decodeOpsetImport(r.message(), opsetImports);
        break;
      case 10:
        domain = standardDomain(r.string());
        break;
      case 11:
        addAttribute(r, source, attributeDefaults);
        break;
      case 12:
        valueInfos.push(decodeValueInfo(r.message()));
        break;
      case 13:
        overload = r.string();
        break;
      default:
        r.skip();
    }
  }
  return {
    name,
    domain,
    overload,
    docString,
    inputs,
    outputs,
    attributes,
    attributeDefaults,
    nodes,
    valueInfos,
    opsetImports,
  };
}

export function decodeOpsetImport(r: WireReader, into: Map<string, number>): void {
  let domain = '';
  let version = 0;
  while (r.next()) {
    if (r.field === 1) domain = standardDomain(r.string());
    else if (r.field === 2) version = r.size('operator-set version');
    else r.skip();
  }
  into.set(domain, version);
}
