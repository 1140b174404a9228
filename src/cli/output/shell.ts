/** Command lines to paste into a POSIX shell. */

export function shellQuoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

export function commandLine(argv: readonly string[]): string {
  return ['hessia', ...argv].map(shellQuoted).join(' ');
}
