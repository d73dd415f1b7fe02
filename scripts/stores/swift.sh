# shellcheck shell=bash
# OpenStack Swift, from PyPI: one disk, each object once, all of its servers in one process. Logins are its own (v1):
# test:tester with the key testing may do all, test:reader with the key reading what containers allow. With an URL in
# FOLDER/identity they are those of the Keystone there, which knows Swift as swift, with the password testing.
# shellcheck disable=SC2154  # root and address are of store.sh

install_swift() {
  without_services debian_packages memcached liberasurecode1
  python_server swift 'setuptools<81' swift==2.38.3 keystonemiddleware==13.0.1
}

# The servers behind PORT, and memcached, which keeps tokens, are at the four ports that follow.
run_swift() {
  local folder=$1 port=$2 name number=0
  mkdir -p "$folder"/{cache,disks/1}
  printf '[swift-hash]\nswift_hash_path_prefix = funnel\nswift_hash_path_suffix = tests\n' >"$folder/swift.conf"
  # So that small directories have pages, too.
  printf '[swift-constraints]\ncontainer_listing_limit = 100\n' >>"$folder/swift.conf"
  swift_proxy "$folder" $((port + 4)) >"$folder/proxy.conf"
  for name in proxy account container object; do
    [ "$name" = proxy ] || echo "[pipeline:main]
pipeline = $name-server" >"$folder/$name.conf"
    swift_server "$folder" $name $((port + number++)) >>"$folder/$name.conf"
  done
  cat >"$folder/server.py" <<'PYTHON'
import logging
import sys
from pathlib import Path

import eventlet
from eventlet import wsgi
from swift.common import constraints, utils
from swift.common.ring import RingBuilder
from swift.common.wsgi import NullLogger, SwiftHttpProtocol, loadapp

utils.monkey_patch()
address, folder, port = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
utils.set_swift_dir(str(folder))
constraints.reload_constraints()
parts = ["proxy", "account", "container", "object"]
for number, name in enumerate(parts[1:], 1):
    ring = RingBuilder(4, 1, 1)
    ring.add_dev(dict(region=1, zone=1, ip=address, port=port + number, device="1", weight=1))
    ring.rebalance()
    ring.get_ring().save(folder / f"{name}.ring.gz")
apps = [loadapp(str(folder / f"{name}.conf"), global_conf={"log_name": name}) for name in parts]
for name in list(logging.root.manager.loggerDict):
    logging.getLogger(name).addHandler(logging.StreamHandler())
pool = eventlet.GreenPool()
for number, app in reversed([*enumerate(apps)]):
    listening = eventlet.listen((address, port + number), backlog=1024)
    more = dict(protocol=SwiftHttpProtocol, capitalize_response_headers=False, url_length_limit=8192)
    pool.spawn(wsgi.server, listening, app, NullLogger(), **more)
pool.waitall()
PYTHON
  # To be another user would undo that it is killed with its caller.
  setpriv --pdeathsig KILL memcached -l $address -p $((port + 4)) -U 0 -m 64 -u "$(id -un)" &
  become "$root/swift/bin/python" -W ignore "$folder/server.py" "$address" "$folder" "$port"
}

swift_server() {
  cat <<SETTINGS
[app:$2-server]
use = egg:swift#$2
account_autocreate = true
allow_account_management = true
error_suppression_limit = 1000000
[DEFAULT]
bind_ip = $address
bind_port = $3
swift_dir = $1
devices = $1/disks
mount_check = false
fallocate_reserve = 0
recon_cache_path = $1/cache
# However busy this machine is, no part takes another one for dead, and what is stored is in the next list.
conn_timeout = 30
node_timeout = 60
container_update_timeout = 60
log_level = WARNING
log_address = $1/no-syslog
SETTINGS
}

swift_proxy() {
  local name who=tempauth identity=''
  [ ! -e "$1/identity" ] || { who='authtoken keystoneauth' && identity=$(cat "$1/identity"); }
  cat <<PIPELINE
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats $who copy slo dlo versioned_writes symlink proxy-server
[filter:cache]
use = egg:swift#memcache
memcache_servers = $address:$2
memcache_max_connections = 100
error_suppression_limit = 1000000
conn_timeout = 30
pool_timeout = 60
io_timeout = 60
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
user_test_reader = reading
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
www_authenticate_uri = $identity
auth_url = $identity
auth_type = password
username = swift
password = testing
project_name = service
user_domain_id = default
project_domain_id = default
delay_auth_decision = true
service_token_roles_required = true
cache = swift.cache
[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = admin, member
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
allow_object_versioning = true
PIPELINE
  for name in catch_errors gatekeeper healthcheck listing_formats copy slo dlo symlink; do
    printf '[filter:%s]\nuse = egg:swift#%s\n' $name $name
  done
}
