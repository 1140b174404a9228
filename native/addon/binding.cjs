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
module.exports = require(path.resolve(file));
