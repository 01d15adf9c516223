import type { Config } from '../../config/schema.js';
import { messageOf } from '../../errors.js';
import { openEngine } from '../../net/open-engine.js';
import { fail, ok } from './report.js';
import type { Finding } from './report.js';

const MEND =
  'It is built where there are a C++ compiler, make, Python and the headers of Node: npm rebuild pg-switchyard';

/** What will move the bytes. */
export function checkEngine({ engine: choice }: Config): Finding {
  try {
    const { engine, why } = openEngine(choice);
    return ok(`engine: ${engine.name}${why === null ? '' : ` (there is no native one: ${why})`}`);
  } catch (error) {
    return fail(`engine: ${messageOf(error)}`, MEND);
  }
}
