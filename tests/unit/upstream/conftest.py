"""A disk that is soon full."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import needs


def _mount(folder: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def _unmount(folder: Path) -> None:
    # Lazily: a test that failed may hold a file open, and the mount must not outlive it.
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _can_mount() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        mounted = _mount(Path(folder))
        if mounted:
            _unmount(Path(folder))
    return mounted


needs.NEEDS["small-disk"] = needs.Need(
    "the right to mount a small tmpfs",
    "run as root, outside a container or in one with CAP_SYS_ADMIN",
    _can_mount,
    required=False,
)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, for a test that is marked ``needs("small-disk")``."""
    folder = tmp_path / "disk"
    folder.mkdir()
    assert _mount(folder)
    yield folder
    _unmount(folder)
