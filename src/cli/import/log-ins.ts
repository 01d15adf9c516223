import { dirname, resolve } from 'node:path';
import type { DraftLine } from './draft.js';
import { Rank } from './draft.js';
import { Verdict, formatPlace } from './finding.js';
import type { Place } from './finding.js';
import { readHba } from './hba.js';
import type { Pgbouncer, Setting } from './pgbouncer.js';
import type { Work } from './work.js';

/** What PgBouncer asks when auth_query is not set (its documentation, "auth_query"). */
const QUERY_DEFAULT =
  'SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END FROM pg_authid WHERE rolname=$1 AND rolcanlogin';

/** auth_type in our words. */
const METHODS: ReadonlyMap<string, string> = new Map([
  ['md5', 'md5'],
  ['scram-sha-256', 'scram-sha-256'],
  ['plain', 'password'],
  ['trust', 'trust'],
  ['any', 'trust'],
]);
const METHOD_DEFAULT = 'scram-sha-256';
/** The variable that holds the password of the monitor role. */
const MONITOR_VARIABLE = 'MONITOR_PASSWORD';

/**
 * Writes `auth`, and the role that looks for users, which is the monitor role.
 * @param hasOthers clients come in also where PgBouncer was not: log-ins are the same on all listeners
 */
export function writeLogIns(pgbouncer: Pgbouncer | null, hasOthers: boolean, work: Work): void {
  const { draft, tell } = work;
  writeMonitor(pgbouncer, work);
  draft.set(['cluster.monitor.password'], { reference: `\${${MONITOR_VARIABLE}}` }, 'FILL IN: its password');
  const advice = `the password of the monitor role: set ${MONITOR_VARIABLE}, or write password_file`;
  tell({ verdict: Verdict.Fill, place: null, subject: 'cluster.monitor.password', advice });
  if (pgbouncer === null) {
    draft.set(['auth.query'], 'SELECT * FROM switchyard.user_lookup($1)', 'function of docs/deploying.md', {
      rank: Rank.Default,
    });
    const query = 'HAProxy passed log-ins through; the proxy looks roles up: docs/deploying.md has the function';
    tell({ verdict: Verdict.Differs, place: null, subject: 'auth.query', advice: query });
    return;
  }
  const method = writeMethod(pgbouncer, work);
  writeUserlist(pgbouncer, work);
  writeQuery(pgbouncer, work);
  writeForcedUsers(pgbouncer, work);
  limitDatabases(pgbouncer, method, hasOthers, work);
}

function writeMonitor(pgbouncer: Pgbouncer | null, { draft, tell }: Work): void {
  const global = pgbouncer?.settings.get('auth_user');
  const others = (pgbouncer?.databases ?? []).flatMap(({ name, place, values }) => {
    const value = values.get('auth_user');
    return value === undefined || value === global?.value ? [] : [{ name, place, value }];
  });
  const [first] = others;
  const chosen = global ?? first;
  if (chosen === undefined || chosen.value === '') {
    draft.set(['cluster.monitor.user'], 'switchyard', 'role to create: docs/deploying.md');
    return;
  }
  draft.set(['cluster.monitor.user'], chosen.value, `${formatPlace(chosen.place)} auth_user`, {
    notes: [`It also watches the nodes: GRANT pg_monitor TO it; "switchyard check" prints what is missing.`],
  });
  const advice = 'it becomes the role that watches the nodes too: GRANT pg_monitor TO it';
  tell({ verdict: Verdict.Differs, place: chosen.place, subject: 'auth_user', advice });
  for (const { name, place, value } of others) {
    if (value === chosen.value) continue;
    const subject = `[databases] ${name}: auth_user`;
    tell({ verdict: Verdict.None, place, subject, advice: 'one role looks users up: that of cluster.monitor.user' });
  }
}

/** Gives the method of those whom no rule is about; null where an HBA file has decided about everybody. */
function writeMethod({ settings, path }: Pgbouncer, work: Work): string | null {
  const { draft, tell } = work;
  const setting = settings.get('auth_type');
  const type = setting?.value.toLowerCase() ?? 'md5';
  const place = setting?.place ?? null;
  const from = place === null ? "auth_type: PgBouncer's default" : `${formatPlace(place)} auth_type`;
  const hba = settings.get('auth_hba_file');
  if (type === 'hba' && hba !== undefined && hba.value !== '') {
    const isRead = writeHba(hba, path, work);
    draft.set(['auth.method'], isRead ? 'reject' : METHOD_DEFAULT, from, {
      notes: isRead ? ['PgBouncer refuses whom no line of its HBA file is about.'] : [],
    });
    return null;
  }
  if (hba !== undefined && hba.value !== '') {
    const advice = 'counts with auth_type = hba alone; it is passed over';
    tell({ verdict: Verdict.Needless, place: hba.place, subject: 'auth_hba_file', advice });
  }
  const method = METHODS.get(type) ?? METHOD_DEFAULT;
  draft.set(['auth.method'], method, from, {
    notes: type === 'md5' ? ['As in PgBouncer, roles with a SCRAM secret log in with SCRAM.'] : [],
  });
  if (type === 'any') {
    const advice = 'clients are not asked for a password, but for the name of a role that exists: trust';
    tell({ verdict: Verdict.Differs, place, subject: 'auth_type', advice });
  } else if (!METHODS.has(type)) {
    const isKnown = ['cert', 'hba', 'pam', 'ldap'].includes(type);
    const advice = `${isKnown ? 'there is no such log-in' : 'PgBouncer has no such type'}: ${METHOD_DEFAULT} is written`;
    tell({ verdict: isKnown ? Verdict.None : Verdict.Broken, place, subject: 'auth_type', advice });
  }
  return method;
}

function writeHba(setting: Setting, iniPath: string, work: Work): boolean {
  const { draft, tell } = work;
  const found = findFile(setting.value, iniPath, work);
  if (found.text === null) {
    const advice = `${found.problem}; write its lines as auth.rules, until then everybody may log in who has a password`;
    tell({ verdict: Verdict.Broken, place: setting.place, subject: 'auth_hba_file', advice });
    return false;
  }
  const { rules, remarks } = readHba(found.text);
  for (const { line, isHarmless, message } of remarks) {
    const verdict = isHarmless ? Verdict.Needless : Verdict.Broken;
    tell({ verdict, place: { file: setting.value, line }, subject: 'auth_hba_file', advice: message });
  }
  for (const { line, databases, users, address, method, instead } of rules) {
    const place = { file: setting.value, line };
    const from = formatPlace(place);
    draft.add('auth.rules', [
      ...(address === null ? [] : [{ key: 'address', value: address, from, notes: [] }]),
      ...(databases === null ? [] : [{ key: 'database', value: databases, from, notes: [] }]),
      ...(users === null ? [] : [{ key: 'user', value: users, from, notes: [] }]),
      { key: 'method', value: method, from, notes: [] },
    ]);
    if (instead === null) continue;
    const advice = `there is no log-in by ${instead}: whom the line is about is refused`;
    tell({ verdict: Verdict.None, place, subject: 'auth_hba_file', advice });
  }
  return true;
}

/** Without `*` PgBouncer serves the databases that it knows, and refuses all others. */
function limitDatabases(
  { databases }: Pgbouncer,
  method: string | null,
  hasOthers: boolean,
  { draft, tell }: Work,
): void {
  const [first] = databases;
  if (first === undefined || databases.some(({ name }) => name === '*')) return;
  if (method === null || hasOthers) {
    const decides =
      method === null
        ? 'the rules of the HBA file decide'
        : 'auth.rules would refuse them on the listeners of HAProxy too';
    const advice = `PgBouncer refused databases that it does not name (there is no "*"); here ${decides}`;
    tell({ verdict: Verdict.Differs, place: first.place, subject: '[databases]', advice });
    return;
  }
  const names = new Set(databases.map(({ name, values }) => values.get('dbname') ?? name));
  const from = `${formatPlace(first.place)} [databases]`;
  const consoles = draft.knows('admin.users') ? ['switchyard'] : [];
  draft.note('auth.rules', ['PgBouncer refuses databases that it does not name (there is no "*").']);
  draft.add('auth.rules', [
    { key: 'database', value: [...names, ...consoles], from, notes: [] },
    { key: 'method', value: method, from, notes: [] },
  ]);
  draft.add('auth.rules', [{ key: 'method', value: 'reject', from, notes: [] }]);
  if (names.has('all')) {
    const advice = 'a rule cannot say the name of a database called all: look at auth.rules';
    tell({ verdict: Verdict.Differs, place: first.place, subject: '[databases]', advice });
  }
}

function writeUserlist({ settings, path }: Pgbouncer, work: Work): void {
  const setting = settings.get('auth_file');
  if (setting === undefined || setting.value === '') return;
  const from = `${formatPlace(setting.place)} auth_file`;
  const found = findFile(setting.value, path, work);
  if (found.text !== null) {
    work.draft.set(['auth.userlist_file'], found.path, from);
    return;
  }
  work.draft.set(['auth.userlist_file'], { reference: '${USERLIST_FILE}' }, `FILL IN: path; ${from}`);
  const advice = `${setting.value} ${found.problem}: write the path in auth.userlist_file, or set USERLIST_FILE`;
  work.tell({ verdict: Verdict.Fill, place: setting.place, subject: 'auth_file', advice });
}

function writeQuery({ settings, databases }: Pgbouncer, { draft, tell }: Work): void {
  const user = settings.get('auth_user') ?? databases.find(({ values }) => values.has('auth_user'));
  const own = databases.filter(({ values }) => values.has('auth_query'));
  const [first] = own;
  const setting: Setting | undefined =
    settings.get('auth_query') ??
    (first === undefined ? undefined : { value: first.values.get('auth_query') ?? '', place: first.place });
  for (const { name, place, values } of own) {
    if (values.get('auth_query') === setting?.value) continue;
    const subject = `[databases] ${name}: auth_query`;
    tell({ verdict: Verdict.None, place, subject, advice: 'one query looks all users up: auth.query' });
  }
  if (user === undefined) {
    if (setting === undefined) return;
    const advice = 'runs in PgBouncer only with auth_user, which is not set; it is passed over';
    tell({ verdict: Verdict.Needless, place: setting.place, subject: 'auth_query', advice });
    return;
  }
  const query = setting?.value ?? QUERY_DEFAULT;
  const place = setting?.place ?? user.place;
  if (!/\$1(?!\d)/.test(query)) {
    const advice = 'has no $1 for the name of the user; it is passed over: write auth.query';
    tell({ verdict: Verdict.Broken, place, subject: 'auth_query', advice });
    return;
  }
  draft.set(
    ['auth.query'],
    query,
    `${formatPlace(place)} ${setting === undefined ? "auth_query: PgBouncer's default" : 'auth_query'}`,
  );
  writeQueryDatabase(settings, databases, { draft, tell }, place);
}

function writeQueryDatabase(
  settings: Pgbouncer['settings'],
  databases: Pgbouncer['databases'],
  { draft, tell }: Pick<Work, 'draft' | 'tell'>,
  queryPlace: Place,
): void {
  const own = databases.find(({ values }) => values.has('auth_dbname'));
  const named =
    settings.get('auth_dbname') ??
    (own === undefined ? undefined : { value: own.values.get('auth_dbname') ?? '', place: own.place });
  if (named !== undefined && named.value !== '') {
    const real = databases.find(({ name }) => name === named.value)?.values.get('dbname') ?? named.value;
    draft.set(['auth.query_database'], real, `${formatPlace(named.place)} auth_dbname`);
    return;
  }
  const advice =
    'PgBouncer runs it in the database that the client asks for; here it runs in one, cluster.monitor.database (postgres): put its function there, or write auth.query_database';
  tell({ verdict: Verdict.Differs, place: queryPlace, subject: 'auth_query', advice });
}

/** Passwords that stand in [databases] are not copied: the new file reads them from the environment. */
function writeForcedUsers({ databases }: Pgbouncer, { draft, tell }: Work): void {
  const written = new Set<string>();
  for (const { name, place, values } of databases) {
    if (!values.has('password')) continue;
    const user = values.get('user');
    const subject = `[databases] ${name}: password`;
    if (user === undefined) {
      tell({ verdict: Verdict.Needless, place, subject, advice: 'counts only with user=; it is passed over' });
      continue;
    }
    if (written.has(user)) continue;
    written.add(user);
    const variable = variableFor(user, written.size);
    const from = `${formatPlace(place)} user=, password=`;
    const lines: readonly DraftLine[] = [
      { key: 'name', value: user, from, notes: [] },
      {
        key: 'password',
        value: { reference: `\${${variable}}` },
        from: `FILL IN: the password in ${formatPlace(place)}`,
        notes: [],
      },
    ];
    draft.add('auth.users', lines);
    const advice = `is not copied: set ${variable} to it, or write password_file`;
    tell({ verdict: Verdict.Fill, place, subject, advice });
  }
}

function variableFor(user: string, number: number): string {
  const name = user.toUpperCase().replaceAll(/[^A-Z0-9]+/g, '_');
  return /^[A-Z0-9_]*[A-Z0-9][A-Z0-9_]*$/.test(name) && name === user.toUpperCase()
    ? `PASSWORD_${name}`
    : `PASSWORD_OF_USER_${number}`;
}

interface FoundFile {
  /** Absolute. */
  readonly path: string;
  /** Null: it cannot be read. */
  readonly text: string | null;
  readonly problem: string;
}

/** PgBouncer begins at its working directory; a file that is not there may lie beside its configuration. */
function findFile(path: string, iniPath: string, { files }: Work): FoundFile {
  let problem = '';
  for (const candidate of [resolve(files.cwd, path), resolve(files.cwd, dirname(iniPath), path)]) {
    const read = files.read(candidate);
    if (read.ok) return { path: candidate, text: read.value, problem: '' };
    problem = read.problem;
  }
  return { path, text: null, problem };
}
