#!/usr/bin/env bash
# What the tests need beside Python and a container engine: strace, to kill a server at its system calls,
# libfaketime, to set its clock, git, to build a wheel of a checkout, an identity provider, the brokers that
# event streams lead to, the stores,
# and Node.js, for a gRPC client that is not ours.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/common.sh
. "$here/common.sh"
debian_packages strace libfaketime git
"$here/oidc.sh" install
"$here/broker.sh" install kafka pubsub nats redis rabbitmq
"$here/store.sh" install azure ftp gcs keystone s3 sftp swift
"$here/node.sh" >/dev/null
