"""Machines made up of real files in a folder, for the checks of `edgevision doctor`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgevision.cuda.driver import Driver
from edgevision.doctor import CHECKS, Finding, Machine
from tests.unit.cuda.fake_driver import Card, FakeLibrary

__all__ = ["BUILD_WITHOUT", "BUILD_WITH_CUDA", "NOBODY", "Bed"]

BUILD_WITHOUT = "  NVIDIA CUDA:  NO\n  GStreamer:  NO\n"
BUILD_WITH_CUDA = """\
  Video I/O:
    GStreamer:                   YES (1.20.3)
  NVIDIA CUDA:                   YES (ver 12.6, CUFFT CUBLAS FAST_MATH)
    NVIDIA GPU arch:             87
    NVIDIA PTX archs:
  cuDNN:                         YES (ver 9.3.0)
"""
NOBODY = os.getuid() + 1
"""A user whom no file of a test belongs to."""


@dataclass
class Bed:
    """A machine that a test fills."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)

    def file(self, path: str, text: str | bytes = "", mode: int = 0o644) -> Path:
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text.encode() if isinstance(text, str) else text)
        place.chmod(mode)
        return place

    def files(self, files: Mapping[str, str]) -> None:
        for path, text in files.items():
            self.file(path, text)

    def cards(self, *cards: Card, code: int = 0, version: int = 13000) -> None:
        self.more["driver"] = lambda: Driver(FakeLibrary(list(cards), code, version))

    def look(self, check: str, **more: Any) -> list[Finding]:
        """Run one check."""
        nothing = {
            "arch": "aarch64",
            "kernel": "5.15.0-test",
            "opencv": lambda: BUILD_WITHOUT,
            "driver": lambda: Driver(FakeLibrary([], code=100)),
            "runtime": lambda: None,
            "run": lambda words: None,
            "reach": lambda host, port, timeout_s: None,
            "outbox": Path("/data/outbox.sqlite"),
        }
        machine = Machine(self.root, self.environment, **{**nothing, **self.more, **more})
        return list(CHECKS[check](machine))
