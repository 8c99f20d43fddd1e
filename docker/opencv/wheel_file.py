"""Pack an installed OpenCV as a wheel that pip keeps under each of OpenCV's names on PyPI.

PyPI has OpenCV's bindings as four distributions with the same files. A package that asks for one
of them makes pip install it over the CUDA build, unless pip finds that name installed. So the
wheel brings metadata for the other three names along: folders that lie in the wheel's data scheme
and land in site-packages as distributions without files of their own. pip takes a wheel with one
``.dist-info`` at its top only, which is why they go there.
"""

from __future__ import annotations

import base64
import hashlib
import os
import sys
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["NAMES", "WheelFile", "constraints", "shorten_run_path"]

NAMES = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
"""The names; the first is the wheel's own."""

_EARLIEST = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class WheelFile:
    """A wheel to be written.

    Attributes:
        version: version with its local part, such as ``4.14.0.94+cu130.sm90``.
        tag: interpreter, ABI and platform, such as ``cp37-abi3-linux_x86_64``.
        summary: one line about it.
        requires: requirements of the wheel.
        licenses: license files.
    """

    version: str
    tag: str
    summary: str
    requires: Sequence[str] = ()
    licenses: Sequence[Path] = field(default=())

    @property
    def name(self) -> str:
        """Name of the file."""
        return f"{_module(NAMES[0])}-{self.version}-{self.tag}.whl"

    def write(self, package: Path, folder: Path) -> Path:
        """Write the wheel and return its path.

        Args:
            package: the folder ``cv2`` as it shall be installed.
            folder: where to; a wheel of the same name is replaced.
        """
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self.name
        part = path.with_suffix(".part")
        base = f"{_module(NAMES[0])}-{self.version}"
        info = f"{base}.dist-info"
        records: list[str] = []
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:

            def add(name: str, data: bytes, mode: int = 0o644) -> None:
                entry = zipfile.ZipInfo(name, _EARLIEST)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = (0o100000 | mode) << 16
                archive.writestr(entry, data)
                records.append(_record(name, data))

            for file in _files(package):
                mode = 0o755 if os.access(file, os.X_OK) else 0o644
                add(f"cv2/{file.relative_to(package).as_posix()}", file.read_bytes(), mode)
            for sibling in NAMES[1:]:
                stub = f"{_module(sibling)}-{self.version}.dist-info"
                for name, data in self._stub(sibling, stub).items():
                    add(f"{base}.data/purelib/{stub}/{name}", data)
            for file in self.licenses:
                add(f"{info}/licenses/{file.name}", file.read_bytes())
            add(f"{info}/METADATA", self._metadata(NAMES[0], self.summary, self.requires))
            add(f"{info}/WHEEL", self._wheel())
            records.append(f"{info}/RECORD,,")
            entry = zipfile.ZipInfo(f"{info}/RECORD", _EARLIEST)
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, "\n".join(records) + "\n")
        part.replace(path)
        return path

    def _metadata(self, name: str, summary: str, requires: Iterable[str] = ()) -> bytes:
        lines = [
            "Metadata-Version: 2.1",
            f"Name: {name}",
            f"Version: {self.version}",
            f"Summary: {summary}",
            "License: Apache-2.0",
            "Requires-Python: >=3.7",
            *(f"Requires-Dist: {requirement}" for requirement in requires),
        ]
        return ("\n".join(lines) + "\n").encode()

    def _wheel(self) -> bytes:
        lines = ["Wheel-Version: 1.0", "Generator: edgevision", "Root-Is-Purelib: false"]
        python, abi, platform = self.tag.split("-")
        lines += [f"Tag: {python}-{abi}-{part}" for part in platform.split(".")]
        return ("\n".join(lines) + "\n").encode()

    def _stub(self, name: str, folder: str) -> dict[str, bytes]:
        files = {
            "METADATA": self._metadata(name, f"stands for the cv2 of {NAMES[0]} {self.version}"),
            "INSTALLER": b"edgevision\n",
        }
        records = [_record(f"{folder}/{file}", data) for file, data in files.items()]
        files["RECORD"] = ("\n".join([*records, f"{folder}/RECORD,,"]) + "\n").encode()
        return files


def constraints(version: str) -> str:
    """Return a constraint file that lets pip replace none of OpenCV's names."""
    return "".join(f"{name}=={version}\n" for name in NAMES)


def shorten_run_path(extension: Path, wanted: str) -> None:
    """Cut off what CMake puts behind a wanted run path: folders of this build.

    The path is a text in the file that ends with a zero, so a shorter one fits into its place.
    """
    data = extension.read_bytes()
    start = data.find(wanted.encode() + b":")
    if start >= 0:
        cut, end = start + len(wanted), data.index(b"\0", start)
        extension.write_bytes(data[:cut] + b"\0" * (end - cut) + data[end:])


def _module(name: str) -> str:
    return name.replace("-", "_")


def _files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    )


def _record(name: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}"


if __name__ == "__main__":
    sys.exit("wheel_file.py is used by build_wheel.py")
