/** SVG paths from curves of thousands of points. */

/** A point in pixels. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

const pixels = (value: number): string => value.toFixed(1).replace(/\.0$/, '');

/**
 * The curve with at most four points per half pixel of width (first, lowest, highest, last): it looks the
 * same, narrow peaks included. `points` ascend in x.
 */
export function thin(points: readonly Point[]): Point[] {
  const kept: Point[] = [];
  let column: Point[] = [];
  const flush = (): void => {
    if (column.length <= 4) kept.push(...column);
    else {
      const lowest = column.reduce((a, b) => (b.y < a.y ? b : a));
      const highest = column.reduce((a, b) => (b.y > a.y ? b : a));
      const chosen = new Set([column[0], lowest, highest, column.at(-1)]);
      kept.push(...column.filter((p) => chosen.has(p)));
    }
    column = [];
  };
  for (const p of points) {
    const first = column[0];
    if (first && Math.floor(2 * first.x) !== Math.floor(2 * p.x)) flush();
    column.push(p);
  }
  flush();
  return kept;
}

/** Straight pieces shorter than this look smooth already. */
const visible = 3;

/**
 * A line through all points that is smooth where they are far apart, without overshooting between two of them
 * (slopes as in Fritsch & Butland 1984). Neighbours on a grid finer than the kernel differ little: this draws
 * what a finer grid would show.
 */
export function smooth(points: readonly Point[]): string {
  const slope = (i: number): number => {
    const [a, b, c] = [points[i - 1], points[i], points[i + 1]];
    if (!a || !b || !c) return 0;
    const [left, right] = [(b.y - a.y) / (b.x - a.x), (c.y - b.y) / (c.x - b.x)];
    if (!(left * right > 0)) return 0;
    const [u, v] = [b.x - a.x, c.x - b.x];
    return (3 * (u + v)) / ((2 * v + u) / left + (v + 2 * u) / right);
  };
  return points
    .map((p, i) => {
      const before = points[i - 1];
      if (!before) return `M${pixels(p.x)} ${pixels(p.y)}`;
      const third = (p.x - before.x) / 3;
      if (!(3 * third > visible)) return `L${pixels(p.x)} ${pixels(p.y)}`;
      const [s, t] = [before.y + third * slope(i - 1), p.y - third * slope(i)];
      return `C${pixels(before.x + third)} ${pixels(s)} ${pixels(p.x - third)} ${pixels(t)} ${pixels(p.x)} ${pixels(p.y)}`;
    })
    .join('');
}

export function line(points: readonly Point[]): string {
  return points.map((p, i) => `${i === 0 ? 'M' : 'L'}${pixels(p.x)} ${pixels(p.y)}`).join('');
}

/** The area between two curves over the same x. */
export function area(upper: readonly Point[], lower: readonly Point[]): string {
  return upper.length === 0 ? '' : `${smooth(upper)}${line([...lower].reverse()).replace('M', 'L')}Z`;
}

/** Vertical strokes, those closer than a quarter of a pixel as one. */
export function strokes(positions: readonly number[], top: number, length: number): string {
  const places = new Set(positions.map((x) => Math.round(4 * x) / 4));
  return [...places]
    .sort((a, b) => a - b)
    .map((x) => `M${x} ${top}v${length}`)
    .join('');
}
