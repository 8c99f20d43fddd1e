"""Put the Dockerfiles into the wheel; everything else about the package is in pyproject.toml.

``docker/`` and ``module/Dockerfile`` lie outside of the package, and `edgevision build` needs them
where there is no checkout. setuptools' package data cannot reach outside of a package.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
SUFFIXES = frozenset({".md", ".py", ".sh", ".txt"})


def assets() -> dict[str, Path]:
    """Return the files by their path below ``edgevision/deploy/docker``."""
    found = {
        path.relative_to(ROOT / "docker").as_posix(): path
        for path in sorted((ROOT / "docker").rglob("*"))
        if path.is_file() and (path.name == "Dockerfile" or path.suffix in SUFFIXES)
    }
    return {**found, "module/Dockerfile": ROOT / "module" / "Dockerfile"}


class BuildWithAssets(build_py):
    """Copies the files beside the modules; an editable installation reads the checkout's."""

    def run(self) -> None:
        """Build the modules, then copy."""
        super().run()
        if not self.editable_mode:
            for name, source in assets().items():
                target = Path(self.build_lib, "edgevision", "deploy", "docker", name)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)


class SdistWithAssets(sdist):
    """Takes the files into a source distribution, from which wheels are built."""

    def make_distribution(self) -> None:
        """Add the files to the list, then go on."""
        self.filelist.extend(str(path.relative_to(ROOT)) for path in assets().values())
        super().make_distribution()


setup(cmdclass={"build_py": BuildWithAssets, "sdist": SdistWithAssets})
