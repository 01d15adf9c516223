import { type Document, type YAMLError, visit } from 'yaml';
import type { Position } from './place.js';

/**
 * Our words for the parser's errors, where its own would show a piece of the file (which may be a secret) or say less.
 * The others are its own sentences, which are constant.
 */
const WORDS: ReadonlyMap<YAMLError['code'], string> = new Map<YAMLError['code'], string>([
  ['ALIAS_PROPS', 'a value that begins with * must be in quotes'],
  ['BAD_ALIAS', 'a value that begins with * or & must be in quotes'],
  ['BAD_COLLECTION_TYPE', 'a value that begins with ! must be in quotes'],
  ['BAD_DIRECTIVE', 'a line that begins with % is not understood'],
  ['BAD_DQ_ESCAPE', 'not a known escape: in double quotes write \\\\ for a backslash, or use single quotes'],
  ['BAD_PROP_ORDER', 'a value that begins with & or ! must be in quotes'],
  ['BAD_SCALAR_START', 'a value that begins with this character must be in quotes'],
  [
    'BLOCK_AS_IMPLICIT_KEY',
    'a second colon on this line, or a wrong indentation: put a value that holds ": " in quotes',
  ],
  ['DUPLICATE_KEY', 'this key is already given in the same mapping: keep one of them'],
  ['IMPOSSIBLE', 'this cannot be read'],
  ['MULTIPLE_ANCHORS', 'a value that begins with & must be in quotes'],
  ['MULTIPLE_DOCS', 'a second document begins here: the configuration is one document'],
  ['MULTIPLE_TAGS', 'a value that begins with ! must be in quotes'],
  ['NON_STRING_KEY', 'the key of a mapping must be a text'],
  ['RESOURCE_EXHAUSTION', 'is nested too deeply'],
  ['TAB_AS_INDENT', 'a tab: indent with spaces'],
  ['TAG_RESOLVE_FAILED', 'a value that begins with ! must be in quotes'],
  ['UNEXPECTED_TOKEN', 'this is not expected here: look at the quotes, brackets and indentation before it'],
]);

/** Puts a syntax error into words, and at the place that people have to look at. */
export function explainYamlError(
  error: YAMLError,
  document: Document.Parsed,
  position: (offset: number) => Position,
): { readonly at: Position; readonly message: string } {
  const words = WORDS.get(error.code);
  if (words !== undefined) {
    return { at: position(error.pos[0]), message: `YAML syntax: ${words}` };
  }
  const quote = error.message.startsWith('Missing closing') ? openQuote(document, error.pos[0]) : null;
  if (quote !== null) {
    return { at: position(quote), message: 'YAML syntax: this quote is never closed' };
  }
  return { at: position(error.pos[0]), message: `YAML syntax: ${lowerFirst(error.message)}` };
}

/** The parser says where it missed the closing quote (the end of the file); this is where the text begins. */
function openQuote(document: Document.Parsed, end: number): number | null {
  let start: number | null = null;
  visit(document, {
    Scalar: (_, scalar) => {
      const quoted = scalar.type === 'QUOTE_DOUBLE' || scalar.type === 'QUOTE_SINGLE';
      if (quoted && scalar.range !== undefined && scalar.range !== null && scalar.range[1] >= end) {
        start = scalar.range[0];
      }
    },
  });
  return start;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
