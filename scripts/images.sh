#!/usr/bin/env bash
# Makes the images that the demo or the tests run: images.sh demo|test. The engine is the one of DOCKER_HOST.
#
# Images with a public name are pulled where a registry can be reached. Where none can, a stand-in of the same name
# is made from Debian's static busybox, in a second. The images of the tests are always made here.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/common.sh
. "$here/common.sh"

path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# Images of another edition of this file are made again.
edition=$(cksum <"${BASH_SOURCE[0]}" | cut -d' ' -f1)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

main() {
  case ${1:-} in
    demo) public alpine busybox_tree ;;
    test)
      public alpine busybox_tree
      public bash bash_tree
      ours nonroot nonroot_tree --change 'USER 1234' --change 'ENV HOME=/home/someone'
      ours entrypoint busybox_tree --change 'ENTRYPOINT ["/bin/echo", "the entrypoint spoke:"]'
      ours noshell noshell_tree
      ours user-files files_tree --change 'WORKDIR /app'
      ours probe probe_tree
      ;;
    *) fail "usage: images.sh demo|test" ;;
  esac
}

# public NAME TREE: NAME:latest, from the registry or with what the function TREE lays out.
public() {
  local image=$1:latest
  if have "$image"; then
    say "image: $image is there"
  elif registry_reached && pull "$image"; then
    say "image: $image pulled"
  else
    make_image "$image" "$2"
    say "image: $image made here from Debian's busybox, as no registry can be reached"
  fi
}

# ours NAME TREE [CHANGE...]: funnel-test/NAME:latest.
ours() {
  local image=funnel-test/$1:latest tree=$2
  shift 2
  [ "$(docker image inspect --format '{{index .Config.Labels "edition"}}' "$image" 2>/dev/null)" != "$edition" ] ||
    return 0
  make_image "$image" "$tree" --change "LABEL edition=$edition" "$@"
  say "image: $image made here"
}

have() { docker image inspect "$1" >/dev/null 2>&1; }

# Asked once: an engine without a way out takes many seconds to find that out.
registry_reached() {
  [ ! -e "$scratch/offline" ]
}

# Gives up when no registry has answered within 5 seconds; once one has, the layers may take their time.
pull() {
  local output=$scratch/pull puller
  docker pull "$1" >"$output" 2>&1 </dev/null &
  puller=$!
  for _ in $(seq 50); do
    kill -0 $puller 2>/dev/null || break
    ! grep -q 'Pulling from' "$output" || break
    sleep 0.1
  done
  grep -q 'Pulling from' "$output" || kill $puller 2>/dev/null || true
  wait $puller && return
  touch "$scratch/offline"
  return 1
}

# make_image IMAGE TREE [CHANGE...]: a one-layer image of what TREE lays out in the folder that it is given.
make_image() {
  local image=$1 tree=$2 folder
  shift 2
  folder=$(mktemp -d -p "$scratch")
  chmod 755 "$folder"
  $tree "$folder"
  tar --create --directory "$folder" --numeric-owner --owner 0 --group 0 . |
    docker import --change "ENV PATH=$path" --change 'CMD ["/bin/sh"]' "$@" - "$image" >/dev/null
}

# --- what the images hold; each function fills the empty folder $1

busybox_tree() {
  local applet
  static_binary "$1"
  mkdir -p "$1"/{etc,root,proc,sys,dev,usr/bin,usr/local/bin,var} && mkdir -m 1777 "$1/tmp"
  echo 'root:x:0:0:root:/root:/bin/sh' >"$1/etc/passwd"
  echo 'root:x:0:' >"$1/etc/group"
  for applet in $("$1/bin/busybox" --list); do
    [ "$applet" = busybox ] || ln -s busybox "$1/bin/$applet"
  done
  ln -s /bin/env "$1/usr/bin/env"
}

# The bash of this machine.
bash_tree() {
  busybox_tree "$1"
  rm -f "$1/bin/bash"
  program "$1" bash
  ln -s /bin/bash "$1/usr/local/bin/bash"
}

# The perl of this machine, which Debian cannot be without: it makes any system call.
probe_tree() {
  busybox_tree "$1"
  program "$1" perl
}

# program FOLDER NAME: a program of this machine in bin, with the libraries it asks for.
program() {
  local library
  cp -L "$(command -v "$2")" "$1/bin/$2"
  for library in $(ldd "$1/bin/$2" | grep -o '/[^ ]*'); do
    mkdir -p "$1$(dirname "$library")"
    cp -L "$library" "$1$library"
  done
}

nonroot_tree() {
  busybox_tree "$1"
  echo 'someone:x:1234:1234:someone:/home/someone:/bin/sh' >>"$1/etc/passwd"
  mkdir "$1/home" && mkdir -m 1777 "$1/home/someone"
}

noshell_tree() {
  static_binary "$1"
  mkdir "$1"/{proc,sys,dev}
}

files_tree() {
  busybox_tree "$1"
  mkdir "$1/app"
  echo 'shipped with the image' >"$1/app/file.txt"
}

static_binary() {
  local busybox
  debian_packages busybox-static >&2
  busybox=$(dpkg -L busybox-static | grep '/bin/busybox$' | head -n 1)
  mkdir "$1/bin"
  cp "$busybox" "$1/bin/busybox"
}

main "$@"
