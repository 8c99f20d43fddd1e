"""``python -m edgevision`` is the command ``edgevision``."""

from __future__ import annotations

import sys

from edgevision.cli import main

if __name__ == "__main__":
    sys.exit(main())
