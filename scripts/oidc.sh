#!/usr/bin/env bash
# An OpenID Connect provider for the tests: oidc-provider, a certified one, from npm, with Node.js from Debian.
#
#   oidc.sh install            bring the software
#   oidc.sh run FOLDER PORT    bring it, and become the provider at 127.0.0.1:PORT
#
# FOLDER has its private keys (jwks.json) and what else it shall know (settings.json). The software is kept in the cache
# folder of the user. The provider ends with the process that called.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/common.sh
. "$here/common.sh"

version=8.8.1
root=${XDG_CACHE_HOME:-$HOME/.cache}/funnel/oidc-provider-$version

main() {
  case ${1:-} in
    install) install ;;
    run)
      install >&2
      exec setpriv --pdeathsig KILL node "$here/../tests/oidc/provider.mjs" \
        "$root/node_modules/oidc-provider/lib/index.js" "${2:?its folder}" "${3:?its port}"
      ;;
    *) sed -n '2,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
  esac
}

# One at a time, and whole or not at all.
install() {
  debian_packages_of node nodejs
  [ ! -e "$root/complete" ] || return 0
  debian_packages_of npm npm
  mkdir -p "$root"
  exec 9>"$root/lock"
  flock 9
  [ -e "$root/complete" ] || fetch
  exec 9>&-
}

fetch() {
  say "oidc: fetching oidc-provider $version from npm"
  (cd "$root" && npm init --yes && npm install --no-audit --no-fund --omit=optional --ignore-scripts \
    "oidc-provider@$version") >"$root/npm.log" 2>&1 || { tail -n 5 "$root/npm.log" >&2; fail "npm did not install it"; }
  touch "$root/complete"
}

# A command that is there may come from elsewhere.
debian_packages_of() {
  command -v "$1" >/dev/null || debian_packages "$2"
}

main "$@"
