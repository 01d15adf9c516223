import { z } from 'zod';
import { type AddressRange, parseAddressRange } from './address.js';
import {
  type SecretReader,
  TEXT_OR_LIST,
  customField,
  duration,
  namesOrAll,
  onePassword,
  secret,
  secretFile,
  text,
  textList,
} from './fields.js';
import { type Reading, wrong } from './reading.js';

const RULES_MAX = 1000;
const USERS_MAX = 10_000;

/** How a client proves who it is. */
const AUTH_METHODS = ['scram-sha-256', 'md5', 'password', 'trust', 'reject'] as const;
export type AuthMethod = (typeof AUTH_METHODS)[number];

/** PostgreSQL's stored forms of a password ("pg_authid" in its documentation). */
const VERIFIER_PATTERN =
  '^(SCRAM-SHA-256\\$[0-9]+:[A-Za-z0-9+/]+={0,2}\\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=|md5[0-9a-f]{32})$';

const ruleSchema = z.strictObject({
  address: addressRanges()
    .prefault('all')
    .meta({ description: 'Where the client comes from: a range such as "10.0.0.0/8", a list of them, or all.' }),
  database: namesOrAll().prefault('all').meta({ description: 'Which database it asks for: a name, a list, or all.' }),
  user: namesOrAll().prefault('all').meta({ description: 'Which user it names: a name, a list, or all.' }),
  method: z.enum(AUTH_METHODS).meta({ description: 'How such a client logs in.' }),
});

function userSchema(read: SecretReader) {
  return z
    .strictObject({
      name: text().meta({ description: 'Name of the user.' }),
      password: secret().optional().meta({ description: 'Its password.' }),
      password_file: secretFile(read).optional().meta({ description: 'File that holds its password.' }),
      verifier: verifier()
        .optional()
        .meta({ description: 'What PostgreSQL stores instead of its password: "SCRAM-SHA-256$..." or "md5...".' }),
    })
    .transform((user, context) => {
      const password = onePassword(user, context);
      if (user.verifier !== undefined && password !== null) {
        context.addIssue({ code: 'custom', path: ['verifier'], message: 'a password is given too: keep one of them' });
      }
      if (user.verifier === undefined && password === null) {
        context.addIssue({ code: 'custom', message: 'needs password, password_file or verifier' });
      }
      return { name: user.name, password, verifier: user.verifier ?? null };
    });
}

function usersSchema(read: SecretReader) {
  return z
    .array(userSchema(read))
    .max(USERS_MAX)
    .superRefine((users, context) => {
      const seen = new Map<string, number>();
      for (const [index, user] of users.entries()) {
        const earlier = seen.get(user.name);
        if (earlier !== undefined) {
          const message = `"${user.name}" is already the name of users[${earlier}]`;
          context.addIssue({ code: 'custom', path: [index, 'name'], message });
        }
        seen.set(user.name, index);
      }
    });
}

/**
 * `auth`: how clients log in, and from where their secrets are known.
 * @param checkFile turns the path of a file into an absolute one, or says why it cannot be read
 */
export function authSchema(read: SecretReader, checkFile: (path: string) => Reading<string>) {
  return z
    .strictObject({
      method: z
        .enum(AUTH_METHODS)
        .prefault('scram-sha-256')
        .meta({ description: 'How clients log in that no rule is about.' }),
      rules: z
        .array(ruleSchema)
        .max(RULES_MAX)
        .prefault([])
        .meta({ description: 'Rules about some clients, as in pg_hba.conf: the first that matches decides.' }),
      users: usersSchema(read).prefault([]).meta({ description: 'Users that are known from this file.' }),
      userlist_file: customField(
        (input) => (typeof input === 'string' && input !== '' ? checkFile(input) : wrong('must be the path of a file')),
        { type: 'string', minLength: 1, 'x-type': 'path' },
      )
        .optional()
        .meta({ description: "Users that are known from a file in the form of PgBouncer's userlist.txt." }),
      query: text().optional().meta({
        description:
          'SQL that finds the other users: gets the name as $1 and gives back name and stored password. Run by the monitor role.',
      }),
      query_database: text()
        .optional()
        .meta({ description: 'Database that the query runs in; without it, the one of the monitor role.' }),
      query_cache: duration({ max: '1d' })
        .prefault('30s')
        .meta({ description: 'How long an answer of the query is believed; 0 asks every time.' }),
    })
    .transform((auth, context) => {
      if (auth.query !== undefined && !/\$1(?!\d)/.test(auth.query)) {
        context.addIssue({ code: 'custom', path: ['query'], message: 'must take the name of the user as $1' });
      }
      return {
        method: auth.method,
        rules: auth.rules.map((rule) => ({
          /** Null: every address. */
          addresses: rule.address,
          /** Null: every database. */
          databases: rule.database,
          /** Null: every user. */
          users: rule.user,
          method: rule.method,
        })),
        users: auth.users,
        /** Absolute path; it could be read when the configuration was. */
        userlistFile: auth.userlist_file ?? null,
        query: auth.query ?? null,
        queryDatabase: auth.query_database ?? null,
        queryCacheMs: auth.query_cache,
      };
    });
}

function verifier() {
  const pattern = new RegExp(VERIFIER_PATTERN);
  return customField(
    (input): Reading<string> =>
      typeof input === 'string' && pattern.test(input)
        ? { ok: true, value: input }
        : wrong('must be a stored password: "SCRAM-SHA-256$..." or "md5" and 32 hexadecimal digits'),
    { type: 'string', pattern: VERIFIER_PATTERN, writeOnly: true, 'x-type': 'secret' },
  );
}

function addressRanges() {
  return customField(
    (input): Reading<readonly AddressRange[] | null> => {
      const list = textList(input);
      if (list === null) {
        return wrong('must be an address range, a list of them, or all');
      }
      const ranges: AddressRange[] = [];
      for (const entry of list.filter((each) => each !== 'all')) {
        const result = parseAddressRange(entry);
        if (!result.ok) {
          return result;
        }
        ranges.push(result.value);
      }
      return { ok: true, value: ranges.length < list.length ? null : ranges };
    },
    { ...TEXT_OR_LIST, 'x-type': 'address range, list of them, or all' },
  );
}
