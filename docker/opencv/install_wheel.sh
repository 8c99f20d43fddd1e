#!/usr/bin/env bash
# install_wheel.sh 'PACKAGE ...': install the wheel from /wheel, and the packages it links to.
set -euo pipefail
# shellcheck source=SCRIPTDIR/../common/lib.sh
. "$(dirname "$0")/../common/lib.sh"

read -r -a more <<<"$1"
mapfile -t packages </wheel/packages.txt
apt_install "${packages[@]}" "${more[@]}"
install --mode 644 /wheel/constraints.txt /opt/edgevision/constraints.txt
/opt/edgevision/bin/python -m pip install --quiet --disable-pip-version-check \
  --constraint /opt/edgevision/constraints.txt /wheel/*.whl
