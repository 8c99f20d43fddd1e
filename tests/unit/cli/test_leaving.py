"""A process ends with its status also where a camera's thread is left behind."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import atexit, threading
from edgevision.cli.leaving import leave
atexit.register(lambda: print("in order"))
if {left}:
    threading.Thread(target=threading.Event().wait, name="worker door", daemon=True).start()
raise SystemExit(leave(3))
"""


@pytest.mark.parametrize(("left", "out"), [(True, ""), (False, "in order\n")])
def test_it_ends_at_once_only_if_a_thread_is_left(left: bool, out: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(left=left)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (3, out)
