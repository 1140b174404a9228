/** Parameters by the module that they belong to, as exporters name them: "layer1.0.conv1.weight" is the weight of "layer1.0.conv1". */

export interface Module<T> {
  /** '' for parameters that belong to none */
  readonly path: string;
  readonly members: readonly T[];
}

export const moduleOf = (name: string): string => name.slice(0, Math.max(0, name.lastIndexOf('.')));

/** Neighbours of one module together, in the order given. */
export function byModule<T extends { readonly name: string }>(parameters: readonly T[]): Module<T>[] {
  const groups: { path: string; members: T[] }[] = [];
  for (const p of parameters) {
    const path = moduleOf(p.name),
      last = groups.at(-1);
    if (last && last.path === path) last.members.push(p);
    else groups.push({ path, members: [p] });
  }
  return groups;
}
