'use strict';
// Finds and loads the native core. This file may be copied (dist/cjs/): it walks up to the package root.
const fs = require('node:fs');
const path = require('node:path');

const folders = ['build/Release', 'build', 'build/Debug', 'build-debug/Debug', 'build-debug'];

function find() {
  for (let folder = __dirname; ; folder = path.dirname(folder)) {
    for (const build of folders) {
      const file = path.join(folder, build, 'hessia.node');
      if (fs.existsSync(file)) return file;
    }
    if (folder === path.dirname(folder)) return null;
  }
}

const file = process.env.HESSIA_NATIVE || find();
if (file === null) {
  throw Object.assign(new Error('native core is not built: run "npm run build:native"'), { code: 'NATIVE_MISSING' });
}
// Threads that wait for work spin for a moment and then sleep. GNU OpenMP spins for about 15 ms (a pause is 50 ns) unless
// told otherwise, which takes the processor from whatever else runs on the machine, a second process of ours included:
// products there were ten times slower. Gaps between instructions are a few microseconds. Read once, as the library loads.
if (!process.env.OMP_WAIT_POLICY) process.env.GOMP_SPINCOUNT ??= '1000';
module.exports = require(path.resolve(file));
