#!/usr/bin/env bash
# install_cuda.sh 'PACKAGE ...': from the repositories of the image, or from a local repository in
# one deb that is removed again.
set -euo pipefail
# shellcheck source=SCRIPTDIR/../common/lib.sh
. "$(dirname "$0")/../common/lib.sh"
shopt -s nullglob

check_arch "$ARCH"
read -r -a packages <<<"$1"
apt_update
if [ -n "$CUDA_ARCHIVE" ]; then
  check_sums "/files/$CUDA_ARCHIVE" "$CUDA_ARCHIVE_SUMS"
  name=$(dpkg-deb --field "/files/$CUDA_ARCHIVE" Package)
  dpkg --install "/files/$CUDA_ARCHIVE"
  folders=(/var/cuda-repo-*)
  [ "${#folders[@]}" = 1 ] || fail "$CUDA_ARCHIVE holds no repository in /var/cuda-repo-*"
  rm -f /etc/apt/sources.list.d/cuda-*.list
  # The sum of the deb has been checked, so what it holds is trusted.
  list=/etc/apt/sources.list.d/edgevision-cuda.list
  printf 'deb [trusted=yes] file://%s /\n' "${folders[0]}" >"$list"
  apt_update
  apt_install "${packages[@]}"
  dpkg --purge "$name"
  rm -rf "$list" "${folders[@]}"
else
  apt_install "${packages[@]}"
fi
if [ -n "$CUDA_PURGE" ]; then
  read -r -a purged <<<"$CUDA_PURGE"
  for package in "${purged[@]}"; do
    if dpkg-query --show "$package" >/dev/null 2>&1; then
      dpkg --purge --force-depends "$package"
    fi
  done
fi
# NVIDIA's packages set up alternatives for /usr/local/cuda; some images lack the link.
if [ -d "$CUDA_HOME" ] && [ ! -e /usr/local/cuda ]; then
  ln -s "$CUDA_HOME" /usr/local/cuda
fi
ldconfig
