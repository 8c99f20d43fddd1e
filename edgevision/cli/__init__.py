"""The command ``edgevision``.

- `edgevision.cli.application`: the commands and their options, and what becomes of errors.
- `edgevision.cli.output`: for people on a terminal, JSON lines otherwise.
- `edgevision.cli.session`: one run of a pipeline: preview, messages, reloading, summary.
- one module for each command.
"""

from __future__ import annotations

__all__ = ["main"]


def main() -> int:
    """Run the command line of this process and return its exit status.

    0: all went well. 1: a camera failed. 2: a mistake of the user's. 70: a mistake of edgevision's.
    130: ended by a second Ctrl-C.
    """
    from edgevision.cli.application import run
    from edgevision.cli.leaving import leave

    return leave(run())
