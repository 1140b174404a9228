/** ValueInfoProto and TypeProto: what a file says about inputs, outputs and values. */

import type { OnnxDataType } from './datatypes.js';
import { dataTypeOf } from './decode-tensor.js';
import type { OnnxDim, OnnxType, OnnxValueInfo } from './types.js';
import type { WireReader } from './wire.js';

export function decodeValueInfo(r: WireReader): OnnxValueInfo {
  let name = '';
  let docString = '';
  let type: OnnxType | undefined;
  while (r.next()) {
    switch (r.field) {
      case 1:
        name = r.string();
        break;
      case 2:
        type = decodeType(r.message());
        break;
      case 3:
        docString = r.string();
        break;
      default:
        r.skip();
    }
  }
  return { name, docString, type };
}

export function decodeType(r: WireReader): OnnxType {
  let type: OnnxType = { kind: 'unknown' };
  while (r.next()) {
    switch (r.field) {
      case 1:
        type = decodeTensorType(r.message(), 'tensor');
        break;
      case 4:
        type = { kind: 'sequence', element: decodeElement(r.message()) };
        break;
      case 5:
        r.skip();
        type = { kind: 'map' };
        break;
      case 8:
        type = decodeTensorType(r.message(), 'sparseTensor');
        break;
      case 9:
        type = { kind: 'optional', element: decodeElement(r.message()) };
        break;
      default:
        r.skip();
    }
  }
  return type;
}

function decodeElement(r: WireReader): OnnxType | undefined {
  let element: OnnxType | undefined;
  while (r.next()) {
    if (r.field === 1) element = decodeType(r.message());
    else r.skip();
  }
  return element;
}

function decodeTensorType(r: WireReader, kind: 'tensor' | 'sparseTensor'): OnnxType {
  let elementType: OnnxDataType = 'undefined';
  let shape: OnnxDim[] | undefined;
  while (r.next()) {
    if (r.field === 1) elementType = dataTypeOf(r);
    else if (r.field === 2) shape = decodeShape(r.message());
    else r.skip();
  }
  return { kind, elementType, shape };
}

function decodeShape(r: WireReader): OnnxDim[] {
  const shape: OnnxDim[] = [];
  while (r.next()) {
    if (r.field === 1) shape.push(decodeDim(r.message()));
    else r.skip();
  }
  return shape;
}

function decodeDim(r: WireReader): OnnxDim {
  let dim: OnnxDim;
  while (r.next()) {
    if (r.field === 1) {
      const value = r.int();
      dim = value < 0 ? undefined : value; // some exporters write -1 for "unknown"
    } else if (r.field === 2) {
      dim = r.string() || undefined; // an empty name says nothing either
    } else r.skip();
  }
  return dim;
}
