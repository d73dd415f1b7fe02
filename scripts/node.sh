#!/usr/bin/env bash
# Node.js with the packages of tests/grpc/node, for the client of another language. Prints the folder that NODE_PATH
# needs; the packages, held to their digests by the lock file, stay in the cache folder of the user.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/common.sh
. "$here/common.sh"

wanted=$here/../tests/grpc/node
root=${XDG_CACHE_HOME:-$HOME/.cache}/funnel/node-$(cksum <"$wanted/package-lock.json" | cut -d' ' -f1)

if [ ! -d "$root" ]; then
  command -v npm >/dev/null || debian_packages nodejs npm >&2
  mkdir -p "${root%/*}"
  made=$(mktemp -d "$root.XXXXXX")
  trap 'rm -rf "$made"' EXIT
  cp "$wanted/package.json" "$wanted/package-lock.json" "$made"
  (cd "$made" && npm ci --ignore-scripts --no-audit --no-fund --silent >&2) || fail "the packages of Node.js did not install"
  # Somebody else may have been quicker.
  mv -T "$made" "$root" 2>/dev/null || [ -d "$root" ]
fi
echo "$root/node_modules"
