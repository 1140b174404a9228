/**
 * Damaged copies of real ONNX files. Half of the damage is done to bytes (flips, cuts, repeats, lengths that lie); the
 * other half to the tree of messages, so that the result is a well-formed file which says something impossible: fields
 * of other files, names of other values (cycles, duplicates), extents beyond all bounds.
 */

/** by message, the fields that hold messages (onnx.proto) */
const schema = {
  model: { 7: 'graph', 8: 'opset', 14: 'entry', 25: 'function' },
  graph: { 1: 'node', 5: 'tensor', 11: 'info', 12: 'info', 13: 'info', 15: 'sparse' },
  node: { 5: 'attribute', 9: 'entry' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 14: 'type', 15: 'type', 22: 'sparse' },
  info: { 2: 'type' },
  type: { 1: 'tensorType', 4: 'listType', 8: 'tensorType', 9: 'listType' },
  listType: { 1: 'type' },
  tensorType: { 2: 'shape' },
  shape: { 1: 'dim' },
  function: { 7: 'node', 9: 'opset', 11: 'attribute', 12: 'info' },
  tensor: { 13: 'entry' },
  sparse: { 1: 'tensor', 2: 'tensor' },
  dim: {},
  opset: {},
  entry: {},
};
/** by message, the fields that hold text */
const texts = {
  node: [1, 2, 3, 4, 7],
  info: [1],
  tensor: [8],
  attribute: [1, 4, 9, 21],
  graph: [2],
  function: [1, 4, 5, 6, 10],
  dim: [2],
  opset: [1],
  entry: [1, 2],
};
/** what extents, counts, axes and codes should never be */
const hostile = [
  0n,
  1n,
  2n,
  7n,
  16n,
  99n,
  255n,
  65_537n,
  16_777_216n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n,
  2n ** 40n,
  2n ** 53n,
  2n ** 62n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
  2n ** 64n - 2n,
  2n ** 64n - 3n,
  1_000_000_000n,
]; // prettier-ignore

/** A generator of 32-bit numbers from two seeds (splitmix64 on a counter). */
export function randomOf(seed, index) {
  let state = (BigInt(seed) << 32n) ^ BigInt(index);
  const word = () => {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
    let z = state;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    return Number((z ^ (z >> 31n)) & 0xffffffffn);
  };
  const below = (limit) => word() % limit;
  return { below, pick: (list) => list[below(list.length)] };
}

function varint(value) {
  const out = [];
  let v = BigInt.asUintN(64, value);
  for (; v >= 0x80n; v >>= 7n) out.push(Number(v & 0x7fn) | 0x80);
  out.push(Number(v));
  return out;
}
function readVarint(bytes, at) {
  let value = 0n;
  for (let shift = 0n; ; shift += 7n) {
    const byte = bytes[at++];
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return [value, at];
  }
}

/** The file as a tree: { kind, fields: [{ number, wire, value | bytes | message }] }. The file must be well-formed. */
export function parse(bytes, kind = 'model') {
  const fields = [];
  for (let at = 0; at < bytes.length; ) {
    let key;
    [key, at] = readVarint(bytes, at);
    const number = Number(key >> 3n),
      wire = Number(key & 7n);
    let size = wire === 1 ? 8 : 4;
    if (wire === 0) {
      let value;
      [value, at] = readVarint(bytes, at);
      fields.push({ number, wire, value });
      continue;
    }
    if (wire === 2) {
      let length;
      [length, at] = readVarint(bytes, at);
      size = Number(length);
    }
    const body = bytes.subarray(at, at + size),
      inner = wire === 2 ? schema[kind][number] : undefined;
    fields.push(inner ? { number, wire, message: parse(body, inner) } : { number, wire, bytes: body });
    at += size;
  }
  return { kind, fields };
}
/** `changed` gives the fields of messages that differ from the tree's. */
function encode(message, changed) {
  const parts = [];
  for (const { number, wire, value, bytes, message: inner, lie } of changed.get(message) ?? message.fields) {
    parts.push(Uint8Array.from(varint((BigInt(number) << 3n) | BigInt(wire))));
    if (wire === 0) {
      parts.push(Uint8Array.from(varint(value)));
      continue;
    }
    const body = inner ? encode(inner, changed) : bytes;
    if (wire === 2) parts.push(Uint8Array.from(varint(lie ?? BigInt(body.length))));
    parts.push(body);
  }
  return Buffer.concat(parts);
}
export function messagesOf(tree, out = []) {
  out.push(tree);
  for (const f of tree.fields) if (f.message) messagesOf(f.message, out);
  return out;
}

function damageTree(corpus, file, random) {
  const changed = new Map();
  for (let n = 1 + random.below(3); n > 0; n--) {
    const message = random.pick(file.messages);
    const fields = [...(changed.get(message) ?? message.fields)];
    if (fields.length === 0) continue;
    const i = random.below(fields.length);
    damageField(fields, i, message.kind, corpus, file, random);
    changed.set(message, fields);
  }
  return encode(file.tree, changed);
}
function damageField(fields, i, kind, corpus, file, random) {
  const field = fields[i];
  const isText = field.bytes && texts[kind]?.includes(field.number);
  switch (random.below(10)) {
    case 0:
      fields.splice(i, 1);
      return;
    case 1:
      fields.splice(random.below(fields.length + 1), 0, field);
      return;
    case 2: {
      const j = random.below(fields.length);
      [fields[i], fields[j]] = [fields[j], field];
      return;
    }
    case 3: {
      // a field of a message of the same kind, of any file
      const other = random.pick(random.pick(corpus).messages.filter((m) => m.kind === kind && m.fields.length > 0));
      if (other) fields.splice(i, random.below(2), random.pick(other.fields));
      return;
    }
    case 4:
      if (field.wire === 2) fields[i] = { ...field, lie: random.pick(hostile) };
      return;
    case 5:
      fields[i] = { ...field, number: 1 + random.below(26) };
      return;
    default:
      if (field.wire === 0) fields[i] = { ...field, value: random.pick(hostile) };
      else if (isText) fields[i] = { ...field, bytes: random.pick(file.names) };
      else if (field.bytes && field.bytes.length > 0) fields[i] = { ...field, bytes: damageBytes(field.bytes, random) };
      else if (field.message) fields.splice(i, 1, random.pick(fields));
  }
}

function damageBytes(whole, random) {
  const bytes = Buffer.from(whole),
    size = bytes.length;
  switch (random.below(7)) {
    case 0:
    case 1:
      for (let n = 1 + random.below(4); n > 0; n--) bytes[random.below(size)] ^= 1 << random.below(8);
      return bytes;
    case 2:
      for (let n = 1 + random.below(4); n > 0; n--) bytes[random.below(size)] = random.below(256);
      return bytes;
    case 3:
      return bytes.subarray(0, random.below(size));
    case 4: {
      const [a, b] = [random.below(size), random.below(size)];
      return Buffer.concat([bytes.subarray(0, a), bytes.subarray(b)]); // cuts out, or repeats
    }
    case 5: {
      const at = random.below(size);
      return Buffer.concat([bytes.subarray(0, at), Uint8Array.from(varint(random.pick(hostile))), bytes.subarray(at)]);
    }
    default: {
      const at = random.below(size),
        long = Uint8Array.from(varint(random.pick(hostile)));
      bytes.set(long.subarray(0, size - at), at);
      return bytes;
    }
  }
}

/** A file ready for damage: { name, bytes, tree, messages, names }. */
export function seedFile(name, bytes) {
  const tree = parse(bytes),
    messages = messagesOf(tree);
  const names = messages.flatMap((m) =>
    m.fields.filter((f) => f.bytes && texts[m.kind]?.includes(f.number)).map((f) => f.bytes),
  );
  return { name, bytes, tree, messages, names: [...names, Buffer.alloc(0), Buffer.from('../x'), Buffer.from('\n')] };
}

/** Damaged file number `index` of a series, always the same for the same corpus. */
export function damaged(corpus, seed, index) {
  const random = randomOf(seed, index);
  const file = random.pick(corpus);
  const once = (bytes) => (bytes.length > 0 ? damageBytes(bytes, random) : bytes);
  const bytes =
    random.below(2) === 0
      ? once(file.bytes)
      : random.below(8) === 0
        ? once(damageTree(corpus, file, random))
        : damageTree(corpus, file, random);
  return { name: file.name, bytes };
}
