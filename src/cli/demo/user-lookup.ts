/**
 * SQL that lets a role without superuser rights look up the verifiers of users, for `auth.query`: a function that runs as its owner, a
 * superuser, and that nobody else may call. One statement each, for the database that the role connects to.
 */
export function userLookupStatements(role: string): readonly string[] {
  return [
    'create schema if not exists switchyard',
    `create function switchyard.user_lookup(name text) returns table(rolname name, rolpassword text, rolvaliduntil timestamptz)
       language sql security definer set search_path = pg_catalog as
       $$ select rolname, rolpassword, rolvaliduntil from pg_authid where rolname = $1 and rolcanlogin $$`,
    'revoke all on function switchyard.user_lookup(text) from public',
    `grant usage on schema switchyard to ${role}`,
    `grant execute on function switchyard.user_lookup(text) to ${role}`,
  ];
}
