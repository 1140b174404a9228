export {
  dequantized,
  type QuantizationMethod,
  type QuantizedLayerResult,
  type QuantizedWeights,
  type QuantizeOptions,
  type QuantizeResult,
  quantizationMethods,
  quantize,
} from './quantize.js';
