import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: { alias: { hessia: new URL('./src/index.ts', import.meta.url).pathname } },
  test: {
    include: ['test/**/*.test.ts'],
    maxWorkers: 2,
    testTimeout: 240_000,
    hookTimeout: 240_000,
  },
});
