#!/usr/bin/env bash
# install_build_packages.sh 'PACKAGE ...': what OpenCV is compiled with. A name may have
# alternatives with a bar between them, for what is called otherwise on another Ubuntu.
set -euo pipefail
# shellcheck source=SCRIPTDIR/../common/lib.sh
. "$(dirname "$0")/../common/lib.sh"

read -r -a wanted <<<"$1"
chosen=()
for entry in "${wanted[@]}"; do
  found=""
  for name in ${entry//|/ }; do
    if apt-cache show "$name" >/dev/null 2>&1; then
      found=$name
      break
    fi
  done
  [ -n "$found" ] || fail "no package of this name: ${entry//|/ or }"
  chosen+=("$found")
done
apt_install "${chosen[@]}"
