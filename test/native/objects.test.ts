/**
 * Code compiled for one instruction set must not leak into the rest: an inline function that two files define is
 * kept once by the linker, and if that is the AVX-512 copy, every other machine crashes. So objects of the wider
 * instruction sets may define symbols in their own namespace only.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const objects = fileURLToPath(new URL('../../build/CMakeFiles', import.meta.url));
const usable = existsSync(join(objects, 'hessia_avx512.dir')) && spawnSync('nm', ['--version']).status === 0;

test.skipIf(!usable).each(['avx2', 'avx512'])('%s objects define symbols in their namespace only', (isa) => {
  const folder = join(objects, `hessia_${isa}.dir`);
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('.o'));
  expect(files.length).toBeGreaterThan(3);
  for (const file of files) {
    const { stdout } = spawnSync('nm', ['-C', '--defined-only', '--extern-only', join(folder, file)], {
      encoding: 'utf8',
    });
    const strangers = stdout.split('\n').filter((line) => line !== '' && !line.includes(`hessia::${isa}::`));
    expect(strangers, file).toEqual([]);
  }
});
