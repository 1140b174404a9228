import { expect, test } from 'vitest';
import type { Lifetime } from '../../src/transform/plan.js';
import { planMemory } from '../../src/transform/plan.js';
import type { Storage } from '../../src/transform/views.js';
import { Chance } from '../cases/random.js';

const storage = (id: number, bytes: number): Storage => ({ id, bytes, binding: null });

test.each(Array.from({ length: 50 }, (_, i) => i))('values alive together never share bytes, seed %i', (seed) => {
  const chance = new Chance(seed);
  const lifetimes: Lifetime[] = Array.from({ length: 80 }, (_, id) => {
    const first = chance.int(0, 60);
    return { storage: storage(id, chance.bool(0.1) ? 0 : chance.int(1, 1000)), first, last: first + chance.int(0, 20) };
  });
  const { offsets, bytes, livePeak } = planMemory(lifetimes);
  const end = (l: Lifetime): number => (offsets.get(l.storage) as number) + l.storage.bytes;
  for (const a of lifetimes) {
    expect((offsets.get(a.storage) as number) % 64).toBe(0);
    expect(end(a)).toBeLessThanOrEqual(bytes);
    for (const b of lifetimes) {
      if (a === b || a.last < b.first || b.last < a.first) continue;
      const apart = end(a) <= (offsets.get(b.storage) as number) || end(b) <= (offsets.get(a.storage) as number);
      expect(apart, `${a.storage.id} and ${b.storage.id}`).toBe(true);
    }
  }
  const alive = (t: number): number =>
    lifetimes
      .filter((l) => l.first <= t && t <= l.last)
      .reduce((n, l) => n + Math.ceil(Math.max(1, l.storage.bytes) / 64) * 64, 0);
  expect(livePeak).toBe(Math.max(...Array.from({ length: 81 }, (_, t) => alive(t))));
  expect(bytes).toBeGreaterThanOrEqual(livePeak);
});

test('a chain of equal values needs two places', () => {
  const lifetimes = Array.from({ length: 20 }, (_, i) => ({ storage: storage(i, 640), first: i, last: i + 1 }));
  expect(planMemory(lifetimes).bytes).toBe(2 * 640);
});

test('a small value goes into the tightest gap', () => {
  const [wide, keepA, narrow, keepB, small] = [
    storage(0, 1024),
    storage(1, 64),
    storage(2, 128),
    storage(3, 64),
    storage(4, 128),
  ];
  const { offsets, bytes } = planMemory([
    { storage: wide, first: 0, last: 3 },
    { storage: keepA, first: 1, last: 9 },
    { storage: narrow, first: 2, last: 3 },
    { storage: keepB, first: 3, last: 9 },
    { storage: small, first: 4, last: 5 },
  ]);
  expect(bytes).toBe(1024 + 128 + 64 + 64);
  expect(offsets.get(small)).toBe(offsets.get(narrow));
});

test('values that stay, born between values that go, do not scatter them', () => {
  // each step of an unrolled loop makes two values that its successors read and two that the way back reads
  const steps = 12;
  const lifetimes = Array.from({ length: steps }, (_, t) =>
    [320, 320, 448, 384].map((bytes, j) => ({
      storage: storage(4 * t + j, bytes),
      first: t,
      last: j < 2 ? t + 2 : 2 * steps - t,
    })),
  ).flat();
  const { bytes, livePeak } = planMemory(lifetimes);
  expect(bytes).toBeLessThanOrEqual(1.05 * livePeak);
});
