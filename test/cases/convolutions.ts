/** Cases of the three convolution primitives: one to three axes, groups, strides, dilation, pads, leading axis k. */
import type { ConvAttributes } from '../../src/graph/index.js';
import { ops } from '../../src/graph/index.js';
import type { PrimitiveCase } from './primitives.js';

interface Geometry {
  readonly name: string;
  readonly x: readonly number[];
  readonly w: readonly number[];
  readonly y: readonly number[];
  readonly a: ConvAttributes;
}
/** positions follow from both pads, as in ops.conv */
function geometry(
  name: string,
  x: readonly number[],
  w: readonly number[],
  a: Partial<ConvAttributes> & { padHigh?: readonly number[] } = {},
): Geometry {
  const n = x.length - 2,
    list = (v: number): number[] => new Array<number>(n).fill(v);
  const { strides = list(1), padLow = list(0), padHigh = padLow, dilations = list(1), groups = 1 } = a;
  const positions = list(0).map((_, i) => {
    const reach = ((w[i + 2] as number) - 1) * (dilations[i] as number) + 1;
    return (
      Math.floor(
        ((x[i + 2] as number) + (padLow[i] as number) + (padHigh[i] as number) - reach) / (strides[i] as number),
      ) + 1
    );
  });
  return { name, x, w, y: [x[0] as number, w[0] as number, ...positions], a: { strides, padLow, dilations, groups } };
}
const geometries: readonly Geometry[] = [
  geometry('1d', [2, 2, 5], [3, 2, 3]),
  geometry('1d strided, asymmetric pads', [1, 2, 6], [2, 2, 3], { strides: [2], padLow: [2], padHigh: [1] }),
  geometry('1d, stride leaves a rest', [1, 1, 6], [1, 1, 2], { strides: [3] }),
  geometry('2d same', [2, 2, 3, 4], [2, 2, 3, 3], { padLow: [1, 1] }),
  geometry('2d groups', [2, 4, 3, 3], [6, 2, 2, 2], { groups: 2 }),
  geometry('2d depthwise, dilated', [1, 3, 5, 4], [3, 1, 2, 2], { groups: 3, dilations: [2, 1], padLow: [1, 0] }),
  geometry('2d one by one', [2, 3, 2, 2], [2, 3, 1, 1]),
  geometry('2d strided, asymmetric', [1, 1, 5, 4], [2, 1, 3, 2], { strides: [2, 1], padLow: [0, 1], padHigh: [1, 0] }),
  geometry('2d pads beyond the window', [1, 1, 2, 2], [1, 1, 2, 2], { padLow: [2, 2] }),
  geometry('2d cropped', [1, 1, 5, 5], [1, 1, 2, 2], { padLow: [-1, 0], padHigh: [0, -1] }),
  geometry('3d', [1, 2, 3, 3, 2], [2, 2, 2, 2, 2], { padLow: [1, 0, 0], strides: [1, 2, 1] }),
  geometry('no samples', [0, 2, 4], [2, 2, 2]),
];
const k = 2;
/** which operands have the leading axis */
const leads = [
  [false, false],
  [true, true],
  [true, false],
  [false, true],
] as const;

function cases(
  from: (g: Geometry) => [readonly number[], readonly number[]],
  apply: (g: Geometry) => PrimitiveCase['build'],
): readonly [PrimitiveCase, ...PrimitiveCase[]] {
  const spec = (shape: readonly number[], lead: boolean) => ({
    shape: lead ? [k, ...shape] : shape,
    low: -1.5,
    high: 1.5,
  });
  return geometries.flatMap((g, i) =>
    // every geometry without k, and one of the ways to have it
    [leads[0], leads[1 + (i % 3)] as (typeof leads)[number]].map(([first, second]) => {
      const [p, q] = from(g);
      return {
        name: `${g.name}${first ? ', k first' : ''}${second ? ', k second' : ''}`,
        inputs: [spec(p, first), spec(q, second)],
        build: apply(g),
      };
    }),
  ) as unknown as readonly [PrimitiveCase, ...PrimitiveCase[]];
}
const n = (g: Geometry): number => g.a.strides.length;

export const convolutionCases = {
  conv: cases(
    (g) => [g.x, g.w],
    (g) =>
      ([x, w]) =>
        ops.convAt(x as never, w as never, { ...g.a, positions: g.y.slice(-n(g)) }),
  ),
  convInput: cases(
    (g) => [g.y, g.w],
    (g) =>
      ([y, w]) =>
        ops.convInput(y as never, w as never, g.a, g.x.slice(-n(g))),
  ),
  convWeight: cases(
    (g) => [g.x, g.y],
    (g) =>
      ([x, y]) =>
        ops.convWeight(x as never, y as never, g.a, g.w.slice(-n(g))),
  ),
};
