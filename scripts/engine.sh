#!/usr/bin/env bash
# A container engine for the demo and the tests: the one that is there, else a private Docker Engine.
#
#   engine.sh start           make sure that an engine answers
#   engine.sh start-private [FLAG...]
#                             start the private engine, whatever else answers; FLAGs are dockerd's
#   engine.sh crash           kill the private engine, and leave to its containers what becomes of them
#   engine.sh stop            stop the private engine; any other one is left alone
#   engine.sh env             print what a shell needs to reach the engine: eval "$(scripts/engine.sh env)"
#   engine.sh images SET      make the images of SET: demo or test
#   engine.sh with SET -- COMMAND...
#                             run COMMAND with engine and images; afterwards stop the engine if that started it
#
# The private engine is Debian's docker.io with data, socket and network bridge of its own. It needs root or sudo,
# but no systemd, and keeps its images in the cache folder of the user.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/common.sh
. "$here/common.sh"

root=${XDG_CACHE_HOME:-$HOME/.cache}/funnel/engine
socket=unix://$root/docker.sock
pid_file=$root/dockerd.pid
log=$root/dockerd.log
# A second private engine, in another cache folder, needs another bridge. The kernel allows 15 letters.
bridge=fnl$(cksum <<<"$root" | cut -d' ' -f1)

main() {
  case ${1:-} in
    # Who asks for it by name keeps it.
    start) start && rm -f "$root/on-demand" ;;
    start-private) shift && mkdir -p "$root" && locked start_own "$@" ;;
    crash) ! alive || as_root kill -9 "$(cat "$pid_file")" ;;
    stop) locked stop_private ;;
    env) print_environment ;;
    images) use_engine && "$here/images.sh" "${2:?which images: demo or test}" ;;
    with) shift && with_engine "$@" ;;
    *) sed -n '2,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
  esac
}

# --- whichever engine there is

# Prints the address of the first engine that answers.
find_engine() {
  local address
  command -v docker >/dev/null || return 1
  while read -r address; do
    if answers "$address"; then
      echo "$address"
      return
    fi
  done < <(addresses)
  return 1
}

addresses() {
  local runtime=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}
  [ -z "${DOCKER_HOST:-}" ] || echo "$DOCKER_HOST"
  docker context inspect -f '{{.Endpoints.docker.Host}}' 2>/dev/null || true
  printf 'unix://%s\n' /var/run/docker.sock "$runtime/docker.sock" "$runtime/podman/podman.sock" \
    /run/podman/podman.sock "$root/docker.sock"
}

answers() {
  [[ $1 != unix://* || -S ${1#unix://} ]] &&
    timeout 5 docker --host "$1" version --format '{{.Server.Version}}' >/dev/null 2>&1 </dev/null
}

use_engine() {
  DOCKER_HOST=$(find_engine) || fail "no container engine answers; start one with: scripts/engine.sh start"
  export DOCKER_HOST
}

print_environment() {
  use_engine
  printf 'export DOCKER_HOST=%q\n' "$DOCKER_HOST"
}

start() {
  if ! find_engine >/dev/null; then
    mkdir -p "$root"
    locked start_private
  fi
  use_engine
  say "engine: $(docker version --format '{{.Server.Version}}') answers at $DOCKER_HOST"
}

# --- one command with an engine around it

# Users of the private engine hold the users lock together, so the last of several that run at once stops it.
with_engine() {
  local images=$1 status=0
  shift
  [ "${1:-}" != -- ] || shift
  mkdir -p "$root"
  exec 8>"$root/users"
  flock --shared 8
  find_engine >/dev/null || touch "$root/on-demand"
  # Not even an interrupt may leave the engine behind.
  trap 'locked stop_unused' EXIT
  start
  "$here/images.sh" "$images" 8>&-
  "$@" 8>&- || status=$?
  exit "$status"
}

stop_unused() {
  flock --unlock 8
  if [ -e "$root/on-demand" ] && flock --exclusive --nonblock 8; then
    stop_private
  fi
}

# --- the private engine

# One start or stop at a time.
locked() {
  mkdir -p "$root"
  exec 9>"$root/lock"
  flock 9
  "$@"
  exec 9>&-
}

start_private() {
  ! find_engine >/dev/null || return 0
  install_engine
  # Where there is an init system, Debian starts what it installs.
  ! find_engine >/dev/null || return 0
  start_own
}

start_own() {
  ! answers "$socket" || return 0
  install_engine
  # The kernel allows 108 letters for a socket, and those of containerd need 45 beside ours.
  [ ${#root} -le 60 ] || fail "the path $root is too long for sockets; set XDG_CACHE_HOME to a shorter one"
  say "engine: starting a private one in $root"
  as_root true
  mount_cgroups
  make_bridge
  # After a crash the numbers in these may be those of others, for whose end dockerd would wait.
  alive || as_root rm -f "$pid_file" "$root/exec/containerd/containerd.pid"
  launch "$@"
}

install_engine() {
  local packages=(ca-certificates iproute2)
  command -v dockerd >/dev/null && command -v docker >/dev/null || packages+=(docker.io iptables)
  debian_packages "${packages[@]}"
  # From Debian 13 on the command is a package of its own.
  command -v docker >/dev/null || debian_packages docker-cli
}

# Without an init system nobody may have mounted the control groups, and limits of CPU and memory need them.
mount_cgroups() {
  mountpoint --quiet /sys/fs/cgroup || as_root mount -t cgroup2 cgroup2 /sys/fs/cgroup
}

# A second dockerd without a bridge of its own would take over docker0 from the first.
make_bridge() {
  local number
  ! ip link show "$bridge" >/dev/null 2>&1 || return 0
  for number in $(seq 1 250); do
    ip -o route show | grep -q "10\.217\.$number\." || break
  done
  as_root ip link add "$bridge" type bridge
  as_root ip addr add "10.217.$number.1/24" dev "$bridge"
  as_root ip link set "$bridge" up
}

# Starts dockerd, and once more with what its complaint asks for: not every file system carries overlay2, and not
# every kernel filters packets (containers then reach each other, but nothing outside).
launch() {
  local storage=overlay2 filter=true
  for _ in 1 2 3; do
    ! launched --storage-driver "$storage" --iptables="$filter" "$@" || return 0
    if grep -q 'error initializing graphdriver' "$log" && [ $storage = overlay2 ]; then
      say "engine: overlay2 does not work here, falling back to vfs"
      storage=vfs
    elif grep -q 'iptables' "$log" && [ $filter = true ]; then
      say "engine: iptables does not work here, containers will not reach the network outside"
      filter=false
    else
      break
    fi
  done
  tail -n 5 "$log" >&2
  fail "the engine did not start; all that it said is in $log"
}

launched() {
  local root_command=()
  [ "$(id -u)" = 0 ] || root_command=(sudo)
  "${root_command[@]}" setsid dockerd --host "$socket" --group "$(id -g)" --data-root "$root/data" --exec-root "$root/exec" \
    --pidfile "$pid_file" --bridge "$bridge" --exec-opt native.cgroupdriver=cgroupfs "$@" \
    >"$log" 2>&1 </dev/null 8>&- 9>&- &
  local launcher=$!
  for _ in $(seq 300); do
    ! answers "$socket" || return 0
    kill -0 $launcher 2>/dev/null || return 1
    sleep 0.1
  done
  return 1
}

stop_private() {
  rm -f "$root/on-demand"
  if alive; then
    say "engine: stopping the private one"
    docker --host "$socket" ps --quiet | xargs --no-run-if-empty docker --host "$socket" kill >/dev/null 2>&1 || true
    as_root kill "$(cat "$pid_file")"
    for _ in $(seq 200); do
      alive || break
      sleep 0.1
    done
    ! alive || fail "the engine, process $(cat "$pid_file"), does not stop"
  fi
  # dockerd mounts its data folder on itself, and does not always take that back.
  ! mountpoint --quiet "$root/data" || as_root umount "$root/data"
  ! ip link show "$bridge" >/dev/null 2>&1 || as_root ip link del "$bridge"
}

# The process, not only its number: after a crash that may belong to somebody else.
alive() {
  local process
  process=$(cat "$pid_file" 2>/dev/null) && [ "$(cat "/proc/$process/comm" 2>/dev/null)" = dockerd ] &&
    ! grep -q '^State:.*Z' "/proc/$process/status"
}

main "$@"
