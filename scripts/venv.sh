#!/usr/bin/env bash
# Makes .venv with the locked packages and Funnel itself: venv.sh run|dev. Nothing to do takes no time.
#
# run holds what running Funnel takes, dev also what developing it takes. uv does the work where it is installed,
# pip where it is not.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/common.sh
. "$here/common.sh"
cd "$here/.."

main() {
  local set=${1:?run or dev} lock=requirements/${1:-}.lock
  [ -f "$lock" ] || fail "usage: venv.sh run|dev"
  ! done_since "$set" "$lock" || return 0
  usable || make_venv
  say "python: installing the $(grep -c == "$lock") packages of $lock with $(installer_name)"
  install --require-hashes --requirement "$lock"
  install --no-deps --no-build-isolation --editable .
  touch ".venv/$set.done"
  say "python: $(.venv/bin/python --version) and the packages are in .venv"
}

# dev includes run.
done_since() {
  local set
  for set in "$1" dev; do
    [ ! ".venv/$set.done" -nt "$2" ] || [ ! ".venv/$set.done" -nt pyproject.toml ] || return 0
  done
  return 1
}

usable() { works .venv/bin/python && { have_uv || .venv/bin/python -m pip --version >/dev/null 2>&1; }; }

works() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

make_venv() {
  local python
  python=$(find_python) || { debian_packages python3 python3-venv && python=$(find_python); } ||
    fail "no Python 3.11 or newer found; say where one is with PYTHON=..."
  rm -rf .venv
  if have_uv; then
    uv venv --quiet --no-python-downloads --python "$python" .venv
  elif ! "$python" -m venv .venv 2>/dev/null; then
    # Debian's Python comes without it, and leaves half a folder behind when it notices.
    debian_packages python3-venv
    rm -rf .venv
    "$python" -m venv .venv
  fi
}

find_python() {
  local name
  for name in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    ! works "$name" || { echo "$name" && return; }
  done
  return 1
}

have_uv() { command -v uv >/dev/null; }

installer_name() { if have_uv; then echo uv; else echo pip; fi; }

install() {
  if have_uv; then
    uv pip install --quiet --python .venv/bin/python "$@"
  else
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "$@"
  fi
}

main "$@"
