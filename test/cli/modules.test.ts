/** Parameters by module, as `info` lists them. */
import { expect, test } from 'vitest';
import { byModule } from '../../src/cli/output/modules.js';

test('neighbours of one module are together, names without one stand alone, order is kept', () => {
  const names = ['stem.conv.weight', 'layer1.0.conv1.weight', 'layer1.0.conv1.bias', 'w', 'b', 'stem.conv.bias'];
  const groups = byModule(names.map((name) => ({ name })));
  expect(groups.map(({ path, members }) => [path, members.map((m) => m.name)])).toEqual([
    ['stem.conv', ['stem.conv.weight']],
    ['layer1.0.conv1', ['layer1.0.conv1.weight', 'layer1.0.conv1.bias']],
    ['', ['w', 'b']],
    ['stem.conv', ['stem.conv.bias']],
  ]);
});
