#!/usr/bin/env bash
# Make the user that the images run as, with the groups of GPU and camera nodes.
set -euo pipefail
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$0")/lib.sh"

user=edgevision id=10001
for group in video render; do
  getent group "$group" >/dev/null || groupadd --system "$group"
done
if ! id "$user" >/dev/null 2>&1; then
  say "adding the user $user"
  groupadd --gid "$id" "$user"
  useradd --uid "$id" --gid "$id" --create-home --shell /usr/sbin/nologin \
    --groups video,render "$user"
fi
