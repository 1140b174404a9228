/**
 * Libraries that only some data need; whoever has such data installs them. A file of its own: in the CommonJS build
 * scripts/build-ts.mjs keeps its import, because a require could not load a library that is a module.
 */
import { codeOf, MissingEnvironmentError } from '../base/errors.js';

interface Peers {
  hyparquet: typeof import('hyparquet');
  'apache-arrow': typeof import('apache-arrow');
}

/** Throws MissingEnvironmentError that says how to install it; `why` is what needs it. */
export async function loadPeer<K extends keyof Peers>(name: K, why: string): Promise<Peers[K]> {
  try {
    return (await import(name)) as Peers[K];
  } catch (error) {
    const missing = codeOf(error) === 'ERR_MODULE_NOT_FOUND' || codeOf(error) === 'MODULE_NOT_FOUND';
    throw new MissingEnvironmentError(
      missing ? `${why} needs ${name}: npm install ${name}` : `${why} needs ${name}, which cannot be loaded`,
      { cause: error },
    );
  }
}
