import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseUserlist } from '../../auth/userlist.js';
import { parseSecret } from '../../auth/user-secret.js';
import { openMonitor } from '../../backend/open-monitor.js';
import type { TextRow } from '../../backend/own-query.js';
import type { Config } from '../../config/schema.js';
import { messageOf } from '../../errors.js';
import type { Clock } from '../../util/clock.js';
import { mendUserLookup, sayError } from './advice.js';
import { isRefusedQuestion, nodeTimeoutMs } from './nodes.js';
import type { CheckedNode } from './nodes.js';
import { fail, ok, warn } from './report.js';
import type { Finding } from './report.js';

/** Problems of a userlist that are told one by one. */
const PROBLEMS_SHOWN_MAX = 10;
/** What pg_roles, pg_user and pg_shadow's views show in place of a password. */
const HIDDEN_PASSWORD = '********';

/** Whether users can be known: the list in the configuration, the userlist file, the query. `node` is where the query is tried. */
export async function checkUsers(config: Config, node: CheckedNode | null, clock: Clock): Promise<readonly Finding[]> {
  const { users, userlistFile, query, method } = config.auth;
  const findings: Finding[] = [];
  if (users.length > 0)
    findings.push(ok(`auth: ${users.length} user${users.length === 1 ? '' : 's'} in the configuration`));
  if (userlistFile !== null) findings.push(...checkUserlist(userlistFile));
  if (query !== null) {
    findings.push(
      ...(node === null
        ? [warn('auth.query: could not be tried, since no node could be asked')]
        : await checkQuery(query, config, node, clock)),
    );
  }
  if (findings.length === 0) findings.push(ok(`auth: no source of users, method ${method}`));
  return findings;
}

function checkUserlist(path: string): Finding[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return [fail(`auth.userlist_file: ${messageOf(error)}`)];
  }
  const { entries, problems } = parseUserlist(text);
  const findings = problems
    .slice(0, PROBLEMS_SHOWN_MAX)
    .map(({ line, message }) => warn(`auth.userlist_file: ${path}:${line}: ${message}`));
  if (problems.length > PROBLEMS_SHOWN_MAX) {
    findings.push(
      warn(`auth.userlist_file: and ${problems.length - PROBLEMS_SHOWN_MAX} more lines that are not understood`),
    );
  }
  const count = `${entries.length} user${entries.length === 1 ? '' : 's'} in ${path}`;
  findings.push(entries.length === 0 ? warn(`auth.userlist_file: ${count}`) : ok(`auth.userlist_file: ${count}`));
  return findings;
}

async function checkQuery(query: string, config: Config, node: CheckedNode, clock: Clock): Promise<Finding[]> {
  const { user } = config.cluster.monitor;
  const database = config.auth.queryDatabase;
  const timeoutMs = nodeTimeoutMs(config);
  // No name that somebody has.
  const nobody = `switchyard_check_${randomBytes(8).toString('hex')}`;
  try {
    const connection = await openMonitor(config, { ...node.target, database }, timeoutMs, clock);
    try {
      const own = await connection.query(query, [user], timeoutMs);
      const none = await connection.query(query, [nobody], timeoutMs);
      return [judgeOwn(own, user, config), judgeNobody(none, nobody)].filter((finding) => finding !== null);
    } finally {
      connection.close();
    }
  } catch (error) {
    const what = `auth.query: fails on ${node.target.name}, in the database "${database}": ${sayError(error)}`;
    return [fail(what, ...(isRefusedQuestion(error) ? mendUserLookup(user, database) : []))];
  }
}

/** The answer about the monitor role itself. Nothing of the secret may be said. */
function judgeOwn(rows: readonly TextRow[], user: string, config: Config): Finding {
  const [row] = rows;
  if (row === undefined) {
    return warn(
      `auth.query: runs, and knows no user ${JSON.stringify(user)}`,
      'That is as it should be when it only knows the users of applications.',
    );
  }
  if (row.length < 2) {
    return fail(
      'auth.query: gives one column',
      'It must give the name and the stored password, in this order (and, if wanted, until when it is valid).',
    );
  }
  if (rows.length > 1) return fail(`auth.query: gives ${rows.length} rows for one name`, 'It must compare with $1.');
  if (row[0] !== user) {
    return fail(
      `auth.query: asked for ${JSON.stringify(user)}, it answers with another name`,
      'Its first column must be the name of the user, and it must compare with $1.',
    );
  }
  return judgeSecret(row[1] ?? '', config);
}

function judgeSecret(stored: string, config: Config): Finding {
  if (stored === HIDDEN_PASSWORD) {
    return fail(
      'auth.query: gives asterisks in place of a password: pg_roles and pg_user hide it',
      ...mendUserLookup(config.cluster.monitor.user, config.auth.queryDatabase),
    );
  }
  const secret = parseSecret(stored);
  switch (secret.kind) {
    case 'scram':
      return ok('auth.query: gives name and SCRAM verifier');
    case 'md5':
      return config.auth.method === 'scram-sha-256'
        ? warn(
            'auth.query: gives md5 hashes, with which nobody can log in by auth.method scram-sha-256',
            "Set password_encryption = 'scram-sha-256' in PostgreSQL and the passwords again, or auth.method: md5.",
          )
        : ok('auth.query: gives name and md5 hash');
    case 'plain':
      return warn('auth.query: gives passwords in clear: its second column should be what PostgreSQL stores');
    case 'none':
    default:
      return secret.reason === 'not-readable'
        ? fail('auth.query: its second column begins like a SCRAM verifier and is none')
        : ok('auth.query: runs (the monitor role has no stored password itself)');
  }
}

function judgeNobody(rows: readonly TextRow[], nobody: string): Finding | null {
  if (rows.length === 0) return null;
  const isNamed = rows[0]?.[0] === nobody;
  return fail(
    `auth.query: gives a row for a user that does not exist${isNamed ? '' : ', with another name'}`,
    'It must give no row then: a WHERE clause that compares with $1 is missing.',
  );
}
