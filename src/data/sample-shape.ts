/** Data and models that differ only in axes of extent 1, such as images without a channel axis. */

/**
 * The shape in which samples of shape `given` can be fed to an input that wants `wanted` (null: any extent), or
 * undefined. Axes of extent 1 may be missing or too many, which leaves the order of the values
 * unchanged: [28, 28] fits [1, 28, 28], and [5, 1] fits [null].
 */
export function fitSampleShape(
  given: readonly number[],
  wanted: readonly (number | null)[],
): readonly number[] | undefined {
  if (matches(given, wanted)) return given;
  const core = given.filter((extent) => extent !== 1);
  const places = wanted.filter((extent) => extent !== 1);
  if (!matches(core, places)) return undefined;
  let next = 0;
  return wanted.map((extent) => (extent === 1 ? 1 : core[next++]!));
}

function matches(given: readonly number[], wanted: readonly (number | null)[]): boolean {
  return given.length === wanted.length && wanted.every((extent, i) => extent === null || extent === given[i]);
}
