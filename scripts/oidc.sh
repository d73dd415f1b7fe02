#!/usr/bin/env bash
# An OpenID Connect provider for the tests: oidc-provider, a certified one, from npm, with Node.js from Debian.
#
#   oidc.sh install            bring the software
#   oidc.sh run FOLDER PORT    bring it, and become the provider at 127.0.0.1:PORT
#
# FOLDER has its private keys (jwks.json) and what else it shall know (settings.json). The software, held to its digests
# by the lock file, is kept in the cache folder of the user. The provider ends with the process that called.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/common.sh
. "$here/common.sh"

wanted=$here/../tests/oidc
root=${XDG_CACHE_HOME:-$HOME/.cache}/funnel/oidc-$(cksum <"$wanted/package-lock.json" | cut -d' ' -f1)

main() {
  case ${1:-} in
    install) install ;;
    run)
      install >&2
      exec setpriv --pdeathsig KILL node "$wanted/provider.mjs" \
        "$root/node_modules/oidc-provider/lib/index.js" "${2:?its folder}" "${3:?its port}"
      ;;
    *) sed -n '2,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
  esac
}

# Whole or not at all.
install() {
  local made
  command -v node >/dev/null || debian_packages nodejs
  [ ! -d "$root" ] || return 0
  command -v npm >/dev/null || debian_packages npm
  say "oidc: fetching the packages of tests/oidc from npm"
  mkdir -p "${root%/*}"
  made=$(mktemp -d "$root.XXXXXX")
  cp "$wanted/package.json" "$wanted/package-lock.json" "$made"
  (cd "$made" && npm ci --ignore-scripts --no-audit --no-fund --silent >&2) || { rm -rf "$made"; fail "npm did not install them"; }
  # Somebody else may have been quicker.
  mv -T "$made" "$root" 2>/dev/null || rm -rf "$made"
}

main "$@"
