import { readFileSync, statSync } from 'node:fs';
import { messageOf } from '../../errors.js';
import { wrong } from '../../config/reading.js';
import type { Reading } from '../../config/reading.js';
import { formatSize } from '../../util/units.js';

/** What an import may ask of the file system. */
export interface InputFiles {
  /** The folder that PgBouncer's relative paths begin at, first of all. */
  readonly cwd: string;
  /** The text of a file, or one sentence that follows its name: `does not exist`. */
  readonly read: (path: string) => Reading<string>;
}

/** Larger files are refused: the path is surely wrong. */
const FILE_BYTES_MAX = 4 * 1024 * 1024;

/** The files of this machine. Bytes that are no UTF-8 become U+FFFD: old files have them in comments. */
export function filesOfMachine(cwd: string): InputFiles {
  return { cwd, read: readTextFile };
}

function readTextFile(path: string): Reading<string> {
  try {
    if (!statSync(path).isFile()) return wrong('is not a file');
    const bytes = readFileSync(path);
    if (bytes.length > FILE_BYTES_MAX) return wrong(`is larger than ${formatSize(FILE_BYTES_MAX)}`);
    return { ok: true, value: new TextDecoder('utf-8').decode(bytes) };
  } catch (error) {
    switch (error instanceof Error && 'code' in error ? error.code : null) {
      case 'ENOENT':
        return wrong('does not exist');
      case 'EACCES':
        return wrong('may not be read by the user that this runs as');
      default:
        return wrong(`cannot be read: ${messageOf(error)}`);
    }
  }
}
