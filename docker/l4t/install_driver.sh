#!/usr/bin/env bash
# Bring the driver's libraries into / by the recipe of the platform, and make what must be found
# without NVIDIA's container runtime: links, the loader's cache.
set -euo pipefail
here=$(dirname "$0")
# shellcheck source=SCRIPTDIR/../common/lib.sh
. "$here/../common/lib.sh"

check_arch "$ARCH"

from_tarball() {
  local unpacked shim
  check_sums "/files/$BSP_FILE" "$BSP_SUMS"
  apt_update
  apt_install bzip2 ca-certificates
  unpacked=$(mktemp -d)
  say "unpacking $BSP_FILE"
  tar -xjf "/files/$BSP_FILE" -C "$unpacked"
  # apply_binaries.sh fills an empty root file system. This one is not empty and is in use: its tar
  # must overwrite, and leave alone the two files that the container engine mounts.
  shim=$(mktemp -d)
  printf '#!/bin/sh\nexec %s "$@" --overwrite --exclude=etc/hosts --exclude=etc/hostname\n' \
    "$(command -v tar)" >"$shim/tar"
  chmod +x "$shim/tar"
  (cd "$unpacked/Linux_for_Tegra" && PATH=$shim:$PATH ./apply_binaries.sh -r /)
  rm -r "$unpacked" "$shim"
}

from_packages() {
  local list=/etc/apt/sources.list.d/jetson.list repository
  : >"$list"
  for repository in $JETSON_APT_REPOSITORIES; do
    printf 'deb [signed-by=/usr/share/keyrings/jetson.gpg] %s/%s %s %s\n' \
      "$JETSON_APT_URL" "$repository" "$JETSON_APT_SUITE" "$JETSON_APT_COMPONENTS" >>"$list"
  done
  # A suite holds several point releases, and the driver's libraries must be those of one.
  printf 'Package: nvidia-l4t-*\nPin: version %s-*\nPin-Priority: 1001\n' "$L4T_RELEASE" \
    >/etc/apt/preferences.d/jetson
  # Without this file the packages look for a Jetson's firmware and give up.
  mkdir -p /opt/nvidia/l4t-packages
  touch /opt/nvidia/l4t-packages/.nv-l4t-disable-boot-fw-update-in-preinstall
  apt_update
  local packages
  read -r -a packages <<<"$DRIVER_PACKAGES"
  apt_install ca-certificates "${packages[@]}"
  local found
  found=$(dpkg-query --show --showformat='${Version}' nvidia-l4t-core)
  [[ $found == "$L4T_RELEASE"-* ]] ||
    fail "the repository has nvidia-l4t-core $found, the platform is $L4T_RELEASE (docs/images.md: update a release)"
}

make_links() {
  local entry path to found
  for entry in $DRIVER_LINKS; do
    path=${entry%%=*}
    to=${entry#*=}
    [[ $to == /* ]] || to=$(dirname "$path")/$to
    # The longest version is the file itself, the shorter ones are links to it.
    found=$(compgen -G "$to" | sort --version-sort | tail -n 1) || found=""
    [ -n "$found" ] || fail "nothing to link $path to: there is no $to"
    mkdir -p "$(dirname "$path")"
    ln -sfn "$found" "$path"
  done
}

case $DRIVER_RECIPE in
  tarball) from_tarball ;;
  apt | split) from_packages ;;
  *) fail "no such recipe of a driver: $DRIVER_RECIPE" ;;
esac
make_links
tr ':' '\n' <<<"$DRIVER_LIBRARY_PATH" >/etc/ld.so.conf.d/edgevision-driver.conf
ldconfig
