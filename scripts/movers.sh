#!/usr/bin/env bash
# Other programs that move files to and from S3, to measure ours beside. For the bench alone; no test needs them.
#
#   movers.sh install   bring them, and print a line of each that is here: its name, and where it is
#
# Two are built of Go modules. Without a new Go, rclone is Debian's, and there is no s5cmd.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/common.sh
. "$here/common.sh"

root=${XDG_CACHE_HOME:-$HOME/.cache}/funnel/movers
rclone=1.76.0
s5cmd=2.3.0
aws=1.46.3

main() {
  [ "${1:-}" = install ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2 && exit 2; }
  mkdir -p "$root"
  exec 9>"$root/lock"
  flock 9
  python_program aws "awscli==$aws" >&2
  if go version 2>/dev/null | grep -Eq 'go1\.(2[5-9]|[3-9][0-9])'; then
    go_program rclone "github.com/rclone/rclone" "v$rclone" >&2
    go_program s5cmd "github.com/peak/s5cmd/v2" "v$s5cmd" >&2
  else
    debian_packages rclone >&2
    ln -sf "$(command -v rclone)" "$root/rclone"
  fi
  for name in aws rclone s5cmd; do
    [ ! -x "$root/$name" ] || echo "$name $root/$name"
  done
}

python_program() {
  local name=$1 what=$2 venv=$root/$1-$2
  [ ! -x "$root/$name" ] || [ ! -x "$venv/bin/$name" ] || return 0
  debian_packages python3-venv
  say "$name: installing $what"
  "${PYTHON:-python3}" -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "$what"
  ln -sf "$venv/bin/$name" "$root/$name"
}

# As the dependency of a module of our own: so no list of versions is asked for.
go_program() {
  local name=$1 module=$2 version=$3 folder=$root/$1-$3
  ln -sfn "$folder/$name" "$root/$name"
  [ ! -x "$folder/$name" ] || return 0
  say "$name: building $module $version, which takes some minutes"
  mkdir -p "$folder"
  printf 'module bench\n\ngo 1.21\n\nrequire %s %s\n' "$module" "$version" >"$folder/go.mod"
  (cd "$folder" && CGO_ENABLED=0 go build -mod=mod -o "$folder/$name" "$module") || {
    say "$name did not build, and is left out"
    return 0
  }
}

main "$@"
