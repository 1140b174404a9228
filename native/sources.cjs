// Prints the sources listed in sources.txt for binding.gyp: node native/sources.cjs plain|isa|addon
const { readFileSync, readdirSync } = require('node:fs');
const { join } = require('node:path');

const lines = readFileSync(join(__dirname, 'sources.txt'), 'utf8').split('\n').filter((l) => l !== '' && !l.startsWith('#'));
const kinds = {
  plain: () => lines.filter((l) => !l.endsWith('.isa.cc')),
  isa: () => lines.filter((l) => l.endsWith('.isa.cc')),
  addon: () => readdirSync(join(__dirname, 'addon')).filter((f) => f.endsWith('.cc')).map((f) => `addon/${f}`),
};
console.log(kinds[process.argv[2]]().map((f) => `native/${f}`).join('\n'));
