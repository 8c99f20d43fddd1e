"""Beds of the checks."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.doctor.machines import Bed


@pytest.fixture
def bed() -> Iterator[Bed]:
    """An empty machine. Its path is short, since a Unix socket's may have 107 bytes."""
    root = Path(tempfile.mkdtemp(prefix="ev-"))
    yield Bed(root)
    shutil.rmtree(root)
