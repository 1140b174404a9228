/** HTML from text: everything that comes from a file or the user passes through `escape`. */

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Control characters but tab and line ends, and what Unicode reserves for programs. */
const notXml = /(?![\t\n\r])\p{Cc}|[\ufffe\uffff]/gu;

/** Characters that are not allowed in XML at all are shown as a replacement character. */
export function escape(text: string): string {
  return text.replace(notXml, '\ufffd').replace(/[&<>"']/g, (c) => entities[c] as string);
}

/** Markup, as opposed to text that is yet to be escaped. */
export class Markup {
  constructor(readonly text: string) {}
  toString(): string {
    return this.text;
  }
}

type Content = string | number | Markup | readonly Content[];

function render(content: Content): string {
  if (content instanceof Markup) return content.text;
  if (Array.isArray(content)) return (content as readonly Content[]).map(render).join('');
  return escape(String(content));
}

/** A tagged template: html`<td>${name}</td>` escapes name unless it is markup itself. Lists are joined. */
export function html(strings: TemplateStringsArray, ...values: readonly Content[]): Markup {
  return new Markup(strings.reduce((all, s, i) => all + render(values[i - 1] ?? '') + s));
}

/** Text that is known to be markup: style sheets, scripts, paths. */
export function raw(text: string): Markup {
  return new Markup(text);
}

export const nothing = new Markup('');
