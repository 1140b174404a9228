/** The real files that are damaged: fixtures, examples and the single operators packed in archives. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readNpz } from '../../../dist/esm/data/index.js';
import { seedFile } from './mutate.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');

export async function corpusOf() {
  const found = [];
  const folder = (path) => {
    for (const name of readdirSync(join(root, path)).sort())
      if (name.endsWith('.onnx')) found.push(seedFile(`${path}/${name}`, readFileSync(join(root, path, name))));
  };
  for (const path of ['test/fixtures', 'test/fixtures/unusual', 'test/onnx/proto/fixtures', 'examples']) folder(path);
  const fixtures = join(root, 'test/onnx/fixtures');
  for (const archive of readdirSync(fixtures)
    .filter((f) => f.endsWith('.npz'))
    .sort()) {
    const npz = await readNpz(join(fixtures, archive));
    if (!npz.has('index')) continue;
    for (const line of new TextDecoder().decode(npz.get('index').data).split('\n')) {
      const [key, , shape, offset] = line.split(';');
      if (!key.endsWith('|model')) continue;
      const bytes = npz.get('blob').data.subarray(Number(offset), Number(offset) + Number(shape));
      found.push(seedFile(`${archive} ${key}`, bytes));
    }
  }
  // damage to long weights says little and takes long
  return found.filter((f) => f.bytes.length <= 65_536);
}
