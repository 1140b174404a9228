/** Standard operators that are left out on purpose, and why; the message and docs/onnx-support.md say it. */
const random = 'random numbers would differ from product to product';
const integer = 'integer arithmetic has no derivatives; export the model without quantisation';
const bits = 'operates on bits, which have no derivatives';
const data = 'the shape of its result depends on data';
const strings = 'operates on strings';

export const refusedOperators: Readonly<Record<string, string>> = {
  Bernoulli: random,
  Multinomial: random,
  RandomNormal: random,
  RandomNormalLike: random,
  RandomUniform: random,
  RandomUniformLike: random,
  ConvInteger: integer,
  DynamicQuantizeLinear: integer,
  MatMulInteger: integer,
  QLinearConv: integer,
  QLinearMatMul: integer,
  BitwiseAnd: bits,
  BitwiseNot: bits,
  BitwiseOr: bits,
  BitwiseXor: bits,
  NonMaxSuppression: data,
  Unique: data,
  ImageDecoder: 'decodes files',
  RegexFullMatch: strings,
  StringConcat: strings,
  StringNormalizer: strings,
  StringSplit: strings,
  TfIdfVectorizer: strings,
};
