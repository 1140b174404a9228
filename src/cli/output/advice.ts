/** What would make this machine faster, one line each. */
export function libraryAdvice(oneDNN: string | null): string[] {
  if (oneDNN !== null) return [];
  return [
    'the built-in kernels serve; for oneDNN, faster on some processors: apt-get install libdnnl-dev, then npm run build:native -- --force',
  ];
}
