#!/usr/bin/env bash
# What the tests need beside Python and a container engine: strace, to kill a server at its system calls, and
# libfaketime, to set its clock.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
debian_packages strace libfaketime
