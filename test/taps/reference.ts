/** Gradients put together from taps, on the host. */
import type { LayerTaps, TapChoice } from '../../src/taps/evaluator.js';
import type { LayerTap } from '../../src/taps/list.js';

/** Σ over samples and positions of D⊗A, where the tap's matrix lies in the stored parameter: added to `into` */
export function addOuter(tap: LayerTap, a: Float64Array, d: Float64Array, into: Float64Array): void {
  const { groups, in: inner, out, kind } = tap;
  const indices = tap.layout.indices();
  const rows = d.length / (groups * out);
  const add = (g: number, o: number, i: number, x: number): void => {
    const at = indices[(g * out + o) * inner + i] as number;
    if (at >= 0) into[at] = (into[at] as number) + x;
  };
  for (let r = 0; r < rows; r++)
    for (let g = 0; g < groups; g++)
      for (let o = 0; o < out; o++) {
        const y = d[(r * groups + g) * out + o] as number;
        if (kind === 'embedding') add(g, o, a[r] as number, y);
        else for (let i = 0; i < inner; i++) add(g, o, i, y * (a[(r * groups + g) * inner + i] as number));
      }
}

/** by parameter name, from everything that `batches` delivers */
export async function gradientsFromTaps(taps: LayerTaps, choice: TapChoice = {}): Promise<Map<string, Float64Array>> {
  const { objective } = taps.execution;
  const out = new Map(objective.parameters.map((p) => [p.name, new Float64Array(p.shape.reduce((n, d) => n * d, 1))]));
  let next = 0;
  for await (const batch of taps.batches(choice)) {
    if (batch.from !== next) throw new Error(`samples from ${batch.from}, not ${next}`);
    next += batch.samples;
    for (const tap of choice.taps ?? taps.taps) {
      const [a, d] = [batch.inputs(tap), batch.cotangents(tap)];
      if (a.count !== batch.samples * tap.positions || d.count !== a.count) throw new Error(`${a.count} rows`);
      addOuter(tap, await a.readFloat64(), await d.readFloat64(), out.get(tap.parameter) as Float64Array);
    }
  }
  if (next !== objective.samples) throw new Error(`${next} samples`);
  return out;
}
export function inOneVector(parts: ReadonlyMap<string, Float64Array>): Float64Array {
  return Float64Array.from([...parts.values()].flatMap((v) => Array.from(v)));
}
