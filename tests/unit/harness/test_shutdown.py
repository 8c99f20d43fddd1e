"""A shutdown that takes too long is ended."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from edgevision.harness.shutdown import ShutdownGuard


def test_it_ends_the_process_once_with_its_code() -> None:
    codes: list[int] = []
    ended = threading.Event()

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    guard = ShutdownGuard(0.01, end)
    guard.code = 3
    guard.arm()
    guard.arm()
    assert ended.wait(5)
    guard.disarm()
    assert codes == [3]


def test_a_closed_log_does_not_keep_the_process(tmp_path: Path) -> None:
    codes: list[int] = []
    closed = (tmp_path / "log").open("w")
    handler = logging.StreamHandler(closed)
    closed.close()
    logging.getLogger().addHandler(handler)
    try:
        guard = ShutdownGuard(0.01, codes.append)
        guard.arm()
        [thread] = [thread for thread in threading.enumerate() if thread.name == "shutdown"]
        thread.join(5)
    finally:
        logging.getLogger().removeHandler(handler)
    assert codes == [0]


def test_one_that_is_in_time_is_left_alone() -> None:
    codes: list[int] = []
    guard = ShutdownGuard(3600, codes.append)
    guard.disarm()
    other = ShutdownGuard(3600, codes.append)
    other.arm()
    other.disarm()
    assert codes == []
