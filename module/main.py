"""Runs the pipeline beside this file as an IoT Edge module.

``python3 main.py`` in the image, where it gets the arguments of ``edgevision run``. What the module
has beside its stages, such as a function with ``@module_method``, is defined or imported here.
"""

from __future__ import annotations

import sys
from pathlib import Path

from edgevision.cli.application import run

__all__ = ["main"]

PIPELINE = Path(__file__).with_name("pipeline.yaml")


def main() -> int:
    """Run until told to stop; return the exit status."""
    return run(["run", str(PIPELINE), *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
