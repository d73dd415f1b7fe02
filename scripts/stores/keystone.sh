# shellcheck shell=bash
# OpenStack's Keystone, from PyPI, with its database in a file: logins of version 3. The user admin of the project admin
# has the password testing.
# shellcheck disable=SC2154  # root and address are of store.sh

# Its empty database takes long to make.
install_keystone() {
  local base=$root/keystone/base
  python_server keystone 'setuptools<81' keystone==30.0.0
  [ ! -e "$base/complete" ] || return 0
  rm -rf "$base"
  mkdir -p "$base"
  say "keystone: making a database"
  keystone_settings "$base" >"$base/keystone.conf"
  keystone_manage "$base" db_sync
  keystone_manage "$base" fernet_setup --keystone-user "$(id -un)" --keystone-group "$(id -gn)"
  keystone_manage "$base" bootstrap --bootstrap-password testing
  touch "$base/complete"
}

run_keystone() {
  local folder=$1
  mkdir -p "$folder"
  cp -r "$root"/keystone/base/{database,keys} "$folder"
  keystone_settings "$folder" >"$folder/keystone.conf"
  cat >"$folder/server.py" <<'PYTHON'
import sys
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

address, port = sys.argv[1], int(sys.argv[2])
del sys.argv[1:]
from keystone.server.wsgi import initialize_public_application


class Quiet(WSGIRequestHandler):
    def log_message(self, *said):
        pass


class Server(WSGIServer):
    request_queue_size = 128


make_server(address, port, initialize_public_application(), Server, Quiet).serve_forever()
PYTHON
  export OS_KEYSTONE_CONFIG_FILES="$folder/keystone.conf"
  become "$root/keystone/bin/python" -W ignore "$folder/server.py" "$address" "$2"
}

keystone_manage() {
  "$root/keystone/bin/python" -W ignore "$root/keystone/bin/keystone-manage" --config-file "$1/keystone.conf" "${@:2}" >"$1/log" 2>&1 ||
    { cat "$1/log" >&2 && return 1; }
}

keystone_settings() {
  cat <<SETTINGS
[DEFAULT]
default_log_levels = keystone=ERROR,py.warnings=ERROR
[database]
connection = sqlite:///$1/database
[fernet_tokens]
key_repository = $1/keys
[fernet_receipts]
key_repository = $1/keys
[credential]
key_repository = $1/keys
[identity]
password_hash_rounds = 4
[cache]
enabled = true
backend = dogpile.cache.memory
SETTINGS
}
