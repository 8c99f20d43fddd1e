#!/usr/bin/env bash
# build.sh WORK OUT: build the wheel by OPENCV_OPTIONS, and list the packages that it needs.
set -euo pipefail
here=$(dirname "$0")
# shellcheck source=SCRIPTDIR/../common/lib.sh
. "$here/../common/lib.sh"

work=$1 out=$2
export CCACHE_DIR=/root/.cache/ccache
options=(--work "$work" --out "$out")
[ -z "$OPENCV_JOBS" ] || options+=(--jobs "$OPENCV_JOBS")
# The options hold no spaces inside of a word.
read -r -a more <<<"$OPENCV_OPTIONS"
/opt/edgevision/bin/python "$here/build_wheel.py" "${options[@]}" "${more[@]}"

# What the loader finds for cv2 belongs to packages; the run-time image needs the same ones.
extension=$(find "$work/installed/python/cv2" -name 'cv2*.so' -print -quit)
[ -n "$extension" ] || fail "the build left no cv2"
missing=$(ldd "$extension" | grep 'not found') || missing=""
libraries=$(ldd "$extension" | awk '$2 == "=>" && $3 ~ "^/" { print $3 }' | sort -u)
: >"$out/packages.txt"
while read -r library; do
  for path in "$library" "$(readlink -f "$library")" "/usr$library"; do
    if owner=$(dpkg-query --search "$path" 2>/dev/null); then
      cut -d : -f 1 <<<"$owner" | head -n 1 >>"$out/packages.txt"
      break
    fi
  done
done <<<"$libraries"
sort -u -o "$out/packages.txt" "$out/packages.txt"
# libcuda comes from the driver, which may be the host's.
missing=$(grep -v 'libcuda\.so' <<<"$missing") || missing=""
[ -z "$missing" ] || fail "cv2 lacks libraries: $missing"
