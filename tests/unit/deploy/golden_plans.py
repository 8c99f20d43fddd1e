"""The bake files of three platforms as they stood when someone last looked at them.

To change them: ``.venv/bin/python -m tests.unit.deploy.golden_plans``, then read the difference.
"""

from __future__ import annotations

import json
from pathlib import Path

from edgevision.deploy import platforms
from edgevision.deploy.bake import bake_file
from edgevision.deploy.plan import make_plan

__all__ = ["FOLDER", "PLATFORMS", "text"]

FOLDER = Path(__file__).with_name("golden")
PLATFORMS = ("nano-r32.1", "orin-r36", "x86_64-dgpu")
_ROOT = Path(__file__).resolve().parents[3]


def text(name: str) -> str:
    """Return a platform's bake file, with the checkout's folder as a dot."""
    plan = make_plan(platforms.platform(name), repository="registry.example/vision")
    document = json.dumps(bake_file(plan, push=True), indent=1)
    return document.replace(str(_ROOT), ".") + "\n"


def main() -> None:
    """Write them anew."""
    FOLDER.mkdir(exist_ok=True)
    for name in PLATFORMS:
        (FOLDER / f"{name}.json").write_text(text(name))


if __name__ == "__main__":
    main()
