/** Patterns over parameter names, as `--params` and `--freeze` take them. */
import { InputError } from './errors.js';

type Token =
  | { readonly kind: 'run' } // *
  | { readonly kind: 'one'; readonly accepts: (character: string) => boolean };

/**
 * A predicate for names that match `pattern` as a whole, case-sensitively. `*` stands for any run of characters,
 * dots and slashes included, `?` for any one, `[abc]`, `[a-z]` and `[!a-z]` for one of (or none of) a class;
 * a `[` that nothing closes stands for itself. A name equal to the pattern always matches, so that a
 * name with brackets in it can be pasted.
 */
export function globMatcher(pattern: string): (name: string) => boolean {
  const tokens = tokenize(pattern);
  return (name) => name === pattern || matches(tokens, Array.from(name));
}

/**
 * The names that match some pattern of `keep` (all names, if there is none) and no pattern of `remove`, in the
 * order of `names`. A pattern that matches no name at all is refused: it is nearly always a slip.
 * `what` says what the names are, as in "parameter".
 */
export function selectByGlobs(
  names: readonly string[],
  keep: readonly string[],
  remove: readonly string[],
  what: string,
): string[] {
  const compile = (pattern: string): ((name: string) => boolean) => {
    const matcher = globMatcher(pattern);
    if (!names.some(matcher)) {
      const known = names.slice(0, 5).join(', ') + (names.length > 5 ? ', ...' : '');
      throw new InputError(`"${pattern}" matches no ${what}; there are ${names.length}${known && `: ${known}`}`);
    }
    return matcher;
  };
  const kept = keep.map(compile);
  const removed = remove.map(compile);
  const some = (matchers: typeof kept, name: string): boolean => matchers.some((matcher) => matcher(name));
  return names.filter((name) => (kept.length === 0 || some(kept, name)) && !some(removed, name));
}

function tokenize(pattern: string): Token[] {
  const characters = Array.from(pattern);
  const tokens: Token[] = [];
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i]!;
    if (character === '*') tokens.push({ kind: 'run' });
    else if (character === '?') tokens.push({ kind: 'one', accepts: () => true });
    else {
      const close = character === '[' ? closingBracket(characters, i) : -1;
      if (close < 0) tokens.push({ kind: 'one', accepts: (c) => c === character });
      else {
        tokens.push({ kind: 'one', accepts: characterClass(characters.slice(i + 1, close)) });
        i = close;
      }
    }
  }
  return tokens;
}

/** A `]` right after `[` or `[!` belongs to the class. */
function closingBracket(characters: readonly string[], open: number): number {
  const first = characters[open + 1] === '!' ? open + 2 : open + 1;
  return characters.indexOf(']', first + 1);
}

function characterClass(content: readonly string[]): (character: string) => boolean {
  const negated = content[0] === '!';
  const body = negated ? content.slice(1) : content;
  const ranges: [number, number][] = [];
  for (let i = 0; i < body.length; i++) {
    const isRange = body[i + 1] === '-' && i + 2 < body.length;
    const low = body[i]!;
    const high = isRange ? body[i + 2]! : low;
    ranges.push([low.codePointAt(0)!, high.codePointAt(0)!]);
    if (isRange) i += 2;
  }
  return (character) => {
    const code = character.codePointAt(0)!;
    return ranges.some(([low, high]) => low <= code && code <= high) !== negated;
  };
}

/**
 * Greedy with one point of return: on a mismatch the latest `*` swallows one more character. Earlier stars need
 * no second look, so the time is at most length × tokens, whatever the pattern.
 */
function matches(tokens: readonly Token[], name: readonly string[]): boolean {
  let token = 0;
  let at = 0;
  let star = -1;
  let starAt = 0;
  while (at < name.length) {
    const current = tokens[token];
    if (current?.kind === 'run') {
      star = token++;
      starAt = at;
    } else if (current?.accepts(name[at]!)) {
      token++;
      at++;
    } else if (star >= 0) {
      token = star + 1;
      at = ++starAt;
    } else return false;
  }
  return tokens.slice(token).every(({ kind }) => kind === 'run');
}
