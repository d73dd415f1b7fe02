# shellcheck shell=bash
# What the scripts of this folder share. Sourced, never run.
set -euo pipefail

# Debian keeps dockerd, ip and iptables where only root looks.
PATH=$PATH:/usr/sbin:/sbin

# Scripts call each other: the first one starts the clock that all of them show.
export STARTED_AT=${STARTED_AT:-$EPOCHREALTIME}

# One line of progress, with the seconds since the start.
say() {
  local tenths=$(((${EPOCHREALTIME/[.,]/} - ${STARTED_AT/[.,]/}) / 100000))
  printf '%5d.%d s  %s\n' $((tenths / 10)) $((tenths % 10)) "$*"
}

fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "this needs root, and there is no sudo: $*"
  fi
}

# Installs what is missing of these Debian packages; costs nothing when all are there.
debian_packages() {
  local package missing=()
  for package; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || fail "please install what Debian calls ${missing[*]}, then try again"
  say "installing Debian packages: ${missing[*]}"
  apt update || say "the package lists are not fresh, going on with the old ones"
  apt install -y --no-install-recommends "${missing[@]}" || fail "Debian packages did not install: ${missing[*]}"
}

# apt-get, quiet unless it fails, and patient with another one at work.
apt() {
  local output
  output=$(as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" 2>&1 </dev/null) ||
    { printf '%s\n' "$output" >&2; return 1; }
}

# Debian starts what it installs; these are told not to.
without_services() {
  local policy=/usr/sbin/policy-rc.d
  if [ -e $policy ]; then
    "$@"
    return
  fi
  printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
  as_root chmod +x $policy
  "$@" || { as_root rm -f $policy && return 1; }
  as_root rm -f $policy
}
