#!/usr/bin/env bash
# fetch_key.sh FOLDER: put the key of NVIDIA's repository there, if the recipe uses packages. A key
# with another fingerprint than those of the table is refused.
set -euo pipefail
# shellcheck source=SCRIPTDIR/../common/lib.sh
. "$(dirname "$0")/../common/lib.sh"

folder=$1
mkdir -p "$folder"
case $DRIVER_RECIPE in
  apt | split) ;;
  *) exit 0 ;;
esac
[ -n "$JETSON_APT_URL" ] || fail "JETSON_APT_URL is not set; docs/images.md says where it is written"
apt_update
apt_install ca-certificates curl gnupg
export GNUPGHOME
GNUPGHOME=$(mktemp -d)
curl --fail --silent --show-error --location --retry 3 \
  --output "$GNUPGHOME/key.asc" "$JETSON_APT_URL/jetson-ota-public.asc"
found=$(gpg --batch --show-keys --with-colons "$GNUPGHOME/key.asc" | awk -F: '$1 == "fpr" { print $10 }')
for fingerprint in $JETSON_KEY_FINGERPRINTS; do
  if grep -qx "$fingerprint" <<<"$found"; then
    gpg --batch --dearmor --output "$folder/jetson.gpg" "$GNUPGHOME/key.asc"
    chmod 644 "$folder/jetson.gpg"
    rm -r "$GNUPGHOME"
    exit 0
  fi
done
fail "the key at JETSON_APT_URL has the fingerprint ${found//$'\n'/, }, known are: $JETSON_KEY_FINGERPRINTS"
