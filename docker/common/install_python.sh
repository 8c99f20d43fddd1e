#!/usr/bin/env bash
# install_python.sh SOURCE VERSION [headers]: a virtual environment in /opt/edgevision, from the
# distribution's Python or from a stand-alone build that runs on any distribution.
set -euo pipefail
here=$(dirname "$0")
# shellcheck source=SCRIPTDIR/lib.sh
. "$here/lib.sh"

source=$1 version=$2 headers=${3:-}
apt_update
case $source in
  distribution)
    packages=(python3 python3-venv)
    [ -z "$headers" ] || packages+=(python3-dev)
    apt_install "${packages[@]}"
    python=$(command -v python3)
    ;;
  standalone)
    apt_install python3 python3-pip ca-certificates
    tools=$(mktemp -d)
    # Ubuntu 18.04's own pip cannot read today's wheels; the newest that its Python runs can.
    python3 -m pip install --quiet --require-hashes --target "$tools/pip" -r "$here/pip.txt"
    PYTHONPATH=$tools/pip python3 -m pip download --quiet --no-deps --require-hashes \
      --only-binary=:all: --python-version 3.12 --platform "manylinux2014_$(uname -m)" \
      --dest "$tools" -r "$here/uv.txt"
    python3 -m zipfile -e "$tools"/uv-*.whl "$tools/uv"
    uv=$(find "$tools/uv" -path '*/scripts/uv')
    chmod +x "$uv"
    # uv checks the sum of what it fetches against the list inside of it.
    UV_PYTHON_INSTALL_DIR=/opt/python "$uv" python install "$version"
    rm -r "$tools"
    python=$(compgen -G "/opt/python/cpython-$version*/bin/python3" | head -n 1)
    ;;
  *) fail "no such source of Python: $source" ;;
esac
found=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
[ "$found" = "$version" ] || fail "Python $found was found, the platform wants $version"
"$python" -m venv /opt/edgevision
