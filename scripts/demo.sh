#!/usr/bin/env bash
# Shows Funnel at its work: a server, a task of two steps in real containers, its log as it comes, its results.
#
# Brings along what is missing (packages, a container engine, an image) and leaves nothing running.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/common.sh
. "$here/common.sh"
cd "$here/.."
funnel=$PWD/.venv/bin/funnel

main() {
  if [ "${1:-}" = with-engine ]; then
    run_a_task
  else
    step 1 'Python packages in .venv'
    "$here/venv.sh" run
    step 2 'A container engine and an image'
    "$here/engine.sh" with demo -- "${BASH_SOURCE[0]}" with-engine
    what_next
  fi
}

run_a_task() {
  home=$(mktemp -d "${TMPDIR:-/tmp}/funnel-demo.XXXXXX")
  server=
  trap leave EXIT

  step 3 'A server on a free port, with the embedded database'
  start_server

  step 4 'An input file, and a task that turns it into a folder of files'
  write_files
  show funnel task create "$home/task.json"
  task=$(<"$home/shown")

  step 5 'Its log, as it is written'
  show funnel task logs --follow "$task"

  step 6 'How it ended'
  show funnel task list --output table
  funnel task wait "$task"
  ends_well

  step 7 'What is in the output folder'
  (cd "$home/results" && show tail -n +1 -- *)
}

start_server() {
  local port
  port=$(.venv/bin/python -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
  export FUNNEL_SERVER=http://127.0.0.1:$port
  "$funnel" server run --Server.HostName 127.0.0.1 --Server.HTTPPort "$port" --Server.RPCPort 0 --Worker.WorkDir "$home/work" \
    --Worker.LogUpdateRate 200ms --SQLite.Path "$home/funnel.db" --LocalStorage.AllowedDirs "$home" \
    >"$home/server.log" 2>&1 &
  server=$!
  for _ in $(seq 100); do
    ! funnel task list >/dev/null 2>&1 || { say "server: answers at $FUNNEL_SERVER" && return; }
    kill -0 $server 2>/dev/null || break
    sleep 0.1
  done
  fail 'the server did not start'
}

write_files() {
  printf '%s\n' otter heron newt >"$home/animals.txt"
  cat >"$home/task.json" <<JSON
{
  "name": "two steps",
  "inputs": [{"path": "/inputs/animals.txt", "url": "file://$home/animals.txt"}],
  "outputs": [{"path": "/outputs", "url": "file://$home/results", "type": "DIRECTORY"}],
  "volumes": ["/shared"],
  "executors": [
    {
      "image": "alpine",
      "command": ["sh", "-c", "echo sorting; sleep 1; sort /inputs/animals.txt | tr a-z A-Z >/shared/sorted.txt"]
    },
    {
      "image": "alpine",
      "command": ["sh", "-c", "while read -r animal; do echo \"writing \$animal.txt\"; echo \"One page about the \$animal\" >/outputs/\$animal.txt; sleep 1; done </shared/sorted.txt"]
    }
  ]
}
JSON
  (cd "$home" && show cat animals.txt)
}

# The answer must be right, not only there.
ends_well() {
  local state
  state=$(funnel task get --view MINIMAL "$task" | tee "$home/shown" | grep -o 'COMPLETE') ||
    fail "the task did not complete: $(<"$home/shown")"
  [ "$(cat "$home"/results/HERON.txt)" = 'One page about the HERON' ] || fail 'the results are not what they should be'
  say "task: $task is $state"
}

what_next() {
  cat <<'TEXT'

That was all; nothing was left running. What to try next:

  scripts/engine.sh start                           an engine that stays, until scripts/engine.sh stop
  eval "$(scripts/engine.sh env)"                   where it is, for this terminal
  .venv/bin/funnel server run                       a server for you, in a terminal of its own
  .venv/bin/funnel run 'echo hello' --wait          a task from one line
  .venv/bin/funnel examples                         tasks to read and to change
  make test                                         the proof
TEXT
}

leave() {
  local status=$?
  if [ $status != 0 ] && [ -s "$home/server.log" ]; then
    echo 'The last words of the server:' >&2
    tail -n 20 "$home/server.log" >&2
  fi
  [ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null || true
  say 'server: stopped'
  rm -rf "$home" 2>/dev/null || as_root rm -rf "$home"
}

step() { printf '\n%d/7 %s\n' "$1" "$2"; }

# Called without the folder, so that what is shown can be typed.
funnel() { "$funnel" "$@"; }

# Runs a command in sight, keeping what it printed in the file `shown`.
show() {
  printf '        $ %s\n' "$*"
  "$@" | tee "$home/shown" | sed -u 's/^/        /'
}

main "$@"
