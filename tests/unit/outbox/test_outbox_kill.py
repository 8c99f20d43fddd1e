"""A process that is killed at any moment: what `put` had taken is there, in order."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.unit.outbox.outbox_bed import everything, numbers, started

ROOT = Path(__file__).resolve().parents[3]


def kill_a_writer(path: Path, first: int, batch: int, after_lines: int) -> dict[str, list[int]]:
    """Run a writer, kill it after so many lines, and return the numbers it was promised."""
    command = [sys.executable, "-m", "tests.unit.outbox.writer_child"]
    child = subprocess.Popen(
        [*command, str(path), str(first), str(batch)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    lines = [child.stdout.readline() for _ in range(after_lines)]
    child.send_signal(signal.SIGKILL)
    lines += child.stdout.read().splitlines(keepends=True)
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    promised: dict[str, list[int]] = {}
    for line in lines:
        if line.endswith(b"\n") and line != b"started\n":
            camera, number = line.split()
            promised.setdefault(camera.decode(), []).append(int(number))
    return promised


async def _found(path: Path) -> tuple[dict[str, list[int]], int]:
    async with started(path) as outbox:
        packets = await everything(outbox)
        return {
            camera: numbers(packets, camera) for camera in ("door", "till", "yard")
        }, outbox.statistics().corrupt_files


def check(promised: dict[str, list[int]], found: dict[str, list[int]], first: int) -> None:
    for camera in ("door", "till"):
        fresh = [number for number in found[camera] if number >= first]
        assert fresh == list(range(first, first + len(fresh))), camera
        assert set(promised.get(camera, ())) <= set(fresh), camera
    # Of the camera that was being deleted, only what was done with is gone.
    yard = [number for number in found["yard"] if number >= first]
    assert yard == sorted(set(yard))
    assert set(promised.get("yard", ())) <= {*yard, *promised.get("gone", ())}


def rounds(path: Path, counts: Iterable[int]) -> None:
    """Kill one writer after the other on the same file, and look at it after each."""
    for turn, after_lines in enumerate(counts):
        first = 1 + turn * 1_000_000
        promised = kill_a_writer(path, first, 1 if turn % 2 else 20, after_lines)
        found, corrupt = asyncio.run(_found(path))
        assert corrupt == 0
        check(promised, found, first)


def test_what_was_taken_survives_the_kill(tmp_path: Path) -> None:
    chance = random.Random(4)
    rounds(tmp_path / "outbox.db", [1, 2, *(chance.randint(3, 400) for _ in range(3))])
