/** JSON that people can read too: indented, but lists of numbers on one line. NaN and infinities become null. */

export function toJson(value: unknown): string {
  return `${write(value, '')}\n`;
}

/** Typed arrays as lists, maps as objects. */
function plain(value: unknown): unknown {
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<number>);
  if (value instanceof Map) return Object.fromEntries(value);
  return value;
}

function write(given: unknown, indent: string): string {
  const value = plain(given);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    if (value.every((v) => typeof v !== 'object' || v === null))
      return `[${value.map((v) => write(v, '')).join(', ')}]`;
    return `[\n${value.map((v) => inner + write(v, inner)).join(',\n')}\n${indent}]`;
  }
  const entries = Object.entries(value).filter(([, v]) => v !== undefined);
  if (entries.length === 0) return '{}';
  return `{\n${entries.map(([name, v]) => `${inner}${JSON.stringify(name)}: ${write(v, inner)}`).join(',\n')}\n${indent}}`;
}
