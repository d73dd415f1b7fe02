#!/usr/bin/env bash
# What the tests need beside Python and a container engine: strace, to kill a server at its system calls,
# libfaketime, to set its clock, git, to build a wheel of a checkout, and an identity provider.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
debian_packages strace libfaketime git
"$(dirname "${BASH_SOURCE[0]}")/oidc.sh" install
