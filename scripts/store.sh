#!/usr/bin/env bash
# Object stores and file servers for the tests: real ones, without data of their own beyond a folder that the
# caller names. Each is a file of scripts/stores.
#
#   store.sh install NAME...        bring the software
#   store.sh run NAME FOLDER PORT   bring it, and become the server, which listens at 127.0.0.1:PORT
#
# What Debian has not is kept in the cache folder of the user. A server keeps its data in FOLDER, so that the next one
# there goes on with it; it ends with the process that called, however that ends.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/common.sh
. "$here/common.sh"

root=${XDG_CACHE_HOME:-$HOME/.cache}/funnel/stores
address=127.0.0.1

main() {
  case ${1:-} in
    install) shift && install_all "$@" ;;
    run) install_all "${2:?which store}" >&2 && "run_$2" "${3:?its folder}" "${4:?its port}" ;;
    *) sed -n '2,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
  esac
}

# One installation at a time.
install_all() {
  local name
  mkdir -p "$root"
  exec 9>"$root/lock"
  flock 9
  for name; do
    # shellcheck source=/dev/null
    . "$here/stores/$name.sh"
    "install_$name"
  done
  exec 9>&-
}

# Becomes COMMAND, which is killed when the caller has died.
become() {
  exec setpriv --pdeathsig KILL "$@"
}

# python_server NAME REQUIREMENT...: an environment of its own with these packages, made once.
python_server() {
  local name=$1 venv=$root/$1
  shift
  [ "$(cat "$venv/complete" 2>/dev/null)" != "$*" ] || return 0
  debian_packages python3-venv
  say "$name: installing $*"
  rm -rf "$venv"
  "${PYTHON:-python3}" -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "$@"
  echo "$*" >"$venv/complete"
}

main "$@"
