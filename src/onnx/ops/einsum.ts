/** Einstein summation of any number of operands, as a chain of products of two. */
import { InputError } from '../../base/errors.js';
import { quoted } from '../../base/quote.js';
import { type Node, ops } from '../../graph/index.js';

interface Term {
  readonly x: Node;
  /** one label per axis */
  readonly labels: string;
}

export function einsum(equation: string, operands: readonly Node[]): Node {
  const [left = '', right] = equation.replace(/\s/g, '').split('->');
  const written = left.split(',');
  if (written.length !== operands.length)
    throw new InputError(`equation ${quoted(equation)} has ${written.length} operands, ${operands.length} are given`);
  if (!/^[A-Za-z.,]*(->[A-Za-z.]*)?$/.test(equation.replace(/\s/g, '')))
    throw new InputError(`equation ${quoted(equation)} is malformed`);
  const spare = [...'0123456789'];
  const widest = Math.max(
    0,
    ...written.map((w, i) => (w.includes('...') ? (operands[i] as Node).shape.length - (w.length - 3) : 0)),
  );
  if (widest > spare.length) throw new InputError(`equation ${quoted(equation)} stands for too many axes`);
  const dots = (count: number): string => spare.slice(widest - count, widest).join('');
  const terms = written.map((w, i): Term => {
    const x = operands[i] as Node;
    const labels = w.replace('...', dots(x.shape.length - (w.length - 3)));
    if (labels.length !== x.shape.length || labels.includes('.'))
      throw new InputError(`equation ${quoted(equation)} does not fit an operand of shape [${x.shape}]`);
    return diagonal({ x, labels });
  });
  const all = terms.map((t) => t.labels).join('');
  const implicit = (): string =>
    dots(widest) +
    [...new Set(all)]
      .filter((c) => /[A-Za-z]/.test(c) && left.split(c).length === 2)
      .sort()
      .join('');
  const out = right === undefined ? implicit() : right.replace('...', dots(widest));
  if ([...out].some((c) => !all.includes(c)) || new Set(out).size !== out.length)
    throw new InputError(`equation ${quoted(equation)} has an impossible result`);
  const result = terms.reduce((a, b, i) =>
    product(
      a,
      b,
      out +
        terms
          .slice(i + 1)
          .map((t) => t.labels)
          .join(''),
    ),
  );
  return arranged(result, out);
}

/** a label that repeats within one operand picks its diagonal */
function diagonal({ x, labels }: Term): Term {
  const i = [...labels].findIndex((c, at) => labels.indexOf(c) !== at);
  if (i < 0) return { x, labels };
  const j = labels.indexOf(labels[i] as string);
  const size = x.shape[i] as number;
  if (x.shape[j] !== size)
    throw new InputError(`repeated label ${quoted(labels[i] as string)} stands for extents ${x.shape[j]} and ${size}`);
  const rest = x.shape.map((_, axis) => axis).filter((axis) => axis !== i && axis !== j);
  const front = ops.transpose(x, [j, i, ...rest]);
  const tail = rest.map((axis) => x.shape[axis] as number);
  const flat = ops.reshape(front, [size * size, ...tail]);
  const picked = ops.slice(flat, [0, ...tail.map(() => 0)], [size, ...tail], [size + 1, ...tail.map(() => 1)]);
  return diagonal({ x: picked, labels: labels[i] + rest.map((axis) => labels[axis]).join('') });
}

/** sums the labels that nothing later needs */
function summed({ x, labels }: Term, needed: string): Term {
  const axes = [...labels].flatMap((c, i) => (needed.includes(c) ? [] : [i]));
  return axes.length === 0
    ? { x, labels }
    : { x: ops.reduceSum(x, axes), labels: [...labels].filter((c) => needed.includes(c)).join('') };
}
/** an extent of 1 against a larger one broadcasts: without the label it does */
function squeezed(a: Term, b: Term): Term {
  const keep = [...a.labels].map(
    (c, i) => !(a.x.shape[i] === 1 && b.labels.includes(c) && b.x.shape[b.labels.indexOf(c)] !== 1),
  );
  return {
    x: ops.reshape(
      a.x,
      a.x.shape.filter((_, i) => keep[i]),
    ),
    labels: [...a.labels].filter((_, i) => keep[i]).join(''),
  };
}
function product(a: Term, b: Term, needed: string): Term {
  const left = summed(squeezed(a, b), needed + b.labels),
    right = summed(squeezed(b, a), needed + a.labels);
  const shared = summed(left, needed + right.labels),
    other = summed(right, needed + left.labels);
  const labels = [...new Set(shared.labels + other.labels)].filter((c) => needed.includes(c)).join('');
  return { x: ops.dot(shared.x, other.x, shared.labels, other.labels, labels), labels };
}
function arranged(term: Term, out: string): Node {
  const { x, labels } = summed(term, out);
  return ops.transpose(
    x,
    [...out].map((c) => labels.indexOf(c)),
  );
}
