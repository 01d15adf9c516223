#!/bin/sh
# For Patroni 3.0.3 and later: empties this node at every Switchyard before PostgreSQL is stopped, so that the stop ends nothing.
#
#   postgresql:
#     before_stop: /etc/patroni/before_stop.sh node1 10.0.0.11:9432 10.0.0.12:9432
#
# The first word is the name of this node (`name` in patroni.yml), the others are the admin addresses of the proxies. Patroni splits the
# line like a shell, adds nothing to it, runs it as its own user with its own environment, waits for it, and stops PostgreSQL whatever
# the exit code is. So this always ends in time and never fails; what happened is in Patroni's log. See docs/switchover.md.
#
# Environment, all optional:
#   SWITCHYARD_DRAIN_SECONDS  hard time limit of all of this, in whole seconds (default 5); keep it below ttl - loop_wait - retry_timeout
#   SWITCHYARD_TOKEN_FILE     file that holds admin.token of the proxies
#   SWITCHYARD                the program, when it is here; without it, and without `switchyard` in PATH, curl is used

set -u

limit=${SWITCHYARD_DRAIN_SECONDS:-5}
case $limit in
  '' | *[!0-9]* | 0*) echo "before_stop: SWITCHYARD_DRAIN_SECONDS is no number of seconds: $limit; taking 5" >&2; limit=5 ;;
esac
if [ $# -lt 2 ]; then
  echo 'before_stop: usage: before_stop.sh NODE ADMIN_ADDRESS...; nothing is drained' >&2
  exit 0
fi
node=$1
shift
case $node in
  *[!A-Za-z0-9_.-]*) echo "before_stop: not a node name: $node; nothing is drained" >&2; exit 0 ;;
esac
token_file=${SWITCHYARD_TOKEN_FILE:-}
program=${SWITCHYARD:-}
[ -n "$program" ] || program=$(command -v switchyard || true)

# The proxies stop waiting a little earlier than they are stopped being waited for.
wait_ms=$((limit * 1000 - 500))

# With the program: one call for all proxies.
by_program() {
  count=$#
  while [ "$count" -gt 0 ]; do
    set -- "$@" --admin "$1"
    shift
    count=$((count - 1))
  done
  [ -z "$token_file" ] || set -- "$@" --token-file "$token_file"
  exec "$program" drain --wait --node "$node" --timeout "${wait_ms}ms" "$@"
}

# With curl: one call for one proxy. The token goes in over standard input, so that no list of processes shows it.
by_curl() {
  {
    printf 'url = "http://%s/api/v1/drain"\n' "${1#http://}"
    printf 'header = "Content-Type: application/json"\n'
    [ -z "$token_file" ] || printf 'header = "Authorization: Bearer %s"\n' "$(cat "$token_file")"
    printf 'data = "{\\"node\\":\\"%s\\",\\"wait\\":true,\\"timeoutMs\\":%s}"\n' "$node" "$wait_ms"
  } | curl --silent --show-error --no-buffer --noproxy '*' --max-time "$limit" --config -
}

jobs=
if [ -n "$program" ]; then
  by_program "$@" &
  jobs=$!
elif command -v curl >/dev/null; then
  for admin; do
    by_curl "$admin" &
    jobs="$jobs $!"
  done
else
  echo 'before_stop: neither switchyard nor curl is here; nothing is drained' >&2
  exit 0
fi

# Whatever hangs is ended. Its output is closed, so that nobody who reads ours waits for its sleep.
(
  sleep "$limit"
  kill -TERM $jobs 2>/dev/null
  sleep 1
  kill -KILL $jobs 2>/dev/null
) >/dev/null 2>&1 &
watchdog=$!

for job in $jobs; do wait "$job"; done
kill "$watchdog" 2>/dev/null
exit 0
