import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: { alias: { hessia: new URL('./src/index.ts', import.meta.url).pathname } },
  test: {
    include: ['test/**/*.test.ts'],
    // Several processes share the cores here: threads that wait should sleep, not spin.
    env: { OMP_WAIT_POLICY: 'PASSIVE' },
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
