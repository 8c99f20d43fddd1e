# shellcheck shell=bash
# Sourced by the build scripts: messages, sums, apt.

say() { printf -- '--- %s\n' "$*"; }

fail() {
  printf 'edgevision: %s\n' "$*" >&2
  exit 1
}

# The base image must be of the architecture that the platform has.
check_arch() {
  local wanted=$1 found
  found=$(dpkg --print-architecture)
  [ "$found" = "$wanted" ] ||
    fail "the base image is for $found, this platform needs $wanted (docker pull --platform linux/$wanted)"
}

# check_sums FILE 'ALGORITHM:SUM ...': every sum that is known must be right.
check_sums() {
  local file=$1 sums=$2 entry algorithm wanted found
  [ -f "$file" ] || fail "there is no file ${file##*/}; edgevision build says how to get it"
  [ -n "$sums" ] || fail "no sum is known of ${file##*/}"
  for entry in $sums; do
    algorithm=${entry%%:*}
    wanted=${entry#*:}
    found=$("${algorithm}sum" "$file" | cut -d ' ' -f 1)
    [ "$found" = "$wanted" ] ||
      fail "${file##*/} has the $algorithm $found, wanted is $wanted"
  done
}

# Reads the package lists, and keeps other builds from the shared cache until this script ends.
# (The cache mounts are not sharing=locked: buildah keeps such a lock until the whole build ends, so
# that the second stage waits for the first for ever.)
apt_update() {
  exec 9>/var/cache/apt/edgevision.lock
  flock 9
  # The downloaded packages stay in the cache mount, not in the image.
  rm -f /etc/apt/apt.conf.d/docker-clean
  apt-get update -q
}

apt_install() {
  [ $# -gt 0 ] || return 0
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
    -o Dpkg::Options::=--force-confnew -o APT::Keep-Downloaded-Packages=true "$@"
}
