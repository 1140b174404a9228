import { expect, test } from 'vitest';
import { globMatcher, selectByGlobs } from '../../src/base/glob.js';

test.each([
  ['layer4.*', 'layer4.0.conv.weight', true],
  ['layer4.*', 'layer40.weight', false],
  ['*', '', true],
  ['', 'a', false],
  ['*.weight', 'a/b.weight', true],
  ['*.weight', 'a.weight2', false],
  ['fc?.bias', 'fc1.bias', true],
  ['fc?.bias', 'fc12.bias', false],
  ['a*b*c', 'a-b-b-c', true],
  ['a*b*c', 'a-c-b', false],
  ['Fc1', 'fc1', false],
  ['fc[12].w', 'fc2.w', true],
  ['fc[12].w', 'fc3.w', false],
  ['fc[0-9a].w', 'fca.w', true],
  ['fc[!0-9].w', 'fc5.w', false],
  ['fc[!0-9].w', 'fcx.w', true],
  ['x[]]y', 'x]y', true],
  ['a[b', 'a[b', true],
  ['blocks[0].w', 'blocks[0].w', true],
  ['a.b', 'axb', false],
  ['(a|b)+', 'a', false],
  ['?', '😀', true],
])('%s on %s: %s', (pattern, name, matches) => {
  expect(globMatcher(pattern)(name)).toBe(matches);
});

test('many stars on a long name take no exponential time', () => {
  expect(globMatcher(`${'a*'.repeat(50)}b`)('a'.repeat(5000))).toBe(false);
});

test('selection keeps the order of names, then removes', () => {
  const names = ['a.weight', 'a.bias', 'b.weight', 'b.bias'];
  expect(selectByGlobs(names, [], [], 'parameter')).toEqual(names);
  expect(selectByGlobs(names, ['b.*', 'a.bias'], [], 'parameter')).toEqual(['a.bias', 'b.weight', 'b.bias']);
  expect(selectByGlobs(names, ['b.*'], ['*.bias'], 'parameter')).toEqual(['b.weight']);
  expect(() => selectByGlobs(names, [], ['c.*'], 'parameter')).toThrow(
    '"c.*" matches no parameter; there are 4: a.weight',
  );
});
