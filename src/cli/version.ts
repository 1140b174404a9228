import { createRequire } from 'node:module';

/** By its own name, so that it is found from wherever the compiled file lies in the package. */
export const version = (createRequire(import.meta.url)('hessia/package.json') as { version: string }).version;
