"""Files that the builder brings: found or downloaded, and checked by their sums."""

from __future__ import annotations

import hashlib
import os
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from edgevision.deploy.facts import Download
from edgevision.errors import ConfigurationError, EdgeVisionError
from edgevision.redaction import redact

__all__ = ["cache_folder", "check", "gather"]

_BLOCK = 1 << 20


def cache_folder() -> Path:
    """Return where files are kept between builds."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "edgevision" / "files"


def gather(
    needed: Iterable[Download],
    given: Sequence[str],
    folder: Path,
    tell: Callable[[str], None] = lambda text: None,
) -> Path:
    """Bring every needed file into a folder and return the folder.

    Args:
        needed: the files.
        given: paths and URLs; one is taken for the file whose name it ends in.
        folder: where they go; what is there already and has the right sums stays.
        tell: told what is going on.

    Raises:
        ConfigurationError: files are missing, with how to get each, or one has a wrong sum.
        EdgeVisionError: a download failed.
    """
    needed = list(needed)
    by_name = {_name(place): place for place in given}
    unknown = sorted(set(by_name) - {file.name for file in needed})
    if unknown:
        wanted = ", ".join(file.name for file in needed) or "none"
        raise ConfigurationError(
            f"not needed for this platform: {', '.join(unknown)} (files that are: {wanted})"
        )
    folder.mkdir(parents=True, exist_ok=True)
    missing = [
        file for file in needed if file.name not in by_name and not (folder / file.name).is_file()
    ]
    if missing:
        raise ConfigurationError(_how_to_get(missing))
    for file in needed:
        path = folder / file.name
        if file.name in by_name and not path.is_file():
            _fetch(by_name[file.name], path, tell)
        tell(f"checking {file.name}")
        check(path, file)
    return folder


def check(path: Path, file: Download) -> None:
    """Compare a file with every sum that is known of it.

    Raises:
        ConfigurationError: one differs; the file is kept aside.
    """
    found = {name: hashlib.new(name) for name in file.sums}
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            for sum_so_far in found.values():
                sum_so_far.update(block)
    for name, wanted in file.sums.items():
        has = found[name].hexdigest()
        if has != wanted:
            aside = path.with_name(path.name + ".refused")
            path.replace(aside)
            raise ConfigurationError(
                f"{file.name} has the {name} {has}, wanted is {wanted}; the file is kept as "
                f"{aside}. Get it again: {file.get}"
            )


def _name(place: str) -> str:
    parts = urllib.parse.urlsplit(place)
    path = parts.path if parts.scheme in ("http", "https", "file") else place
    return path.rstrip("/").rpartition("/")[2]


def _how_to_get(missing: Sequence[Download]) -> str:
    lines = ["these files are needed and not there:"]
    for file in missing:
        size = f", {file.size_bytes / 1e6:.0f} MB" if file.size_bytes else ""
        sums = "; ".join(f"{name} {digest}" for name, digest in file.sums.items())
        lines += [f"  {file.name} ({sums}{size})", f"    from: {file.get}"]
    lines.append("then name each with --file PATH or --file URL")
    return "\n".join(lines)


def _fetch(place: str, path: Path, tell: Callable[[str], None]) -> None:
    """Copy or download a file; what is there afterwards is whole."""
    part = path.with_name(path.name + ".part")
    parts = urllib.parse.urlsplit(place)
    if parts.scheme not in ("http", "https", "file"):
        source = Path(place).expanduser()
        if not source.is_file():
            raise ConfigurationError(f"there is no file {place}")
        tell(f"copying {source}")
        shutil.copyfile(source, part)
        part.replace(path)
        return
    tell(f"downloading {redact(place)}")
    try:
        with urllib.request.urlopen(place, timeout=60) as answer, part.open("wb") as file:
            length = int(answer.headers.get("Content-Length") or 0)
            done, step = 0, 0
            while block := answer.read(_BLOCK):
                file.write(block)
                done += len(block)
                if length and done * 10 // length > step:
                    step = done * 10 // length
                    tell(f"{done / 1e6:.0f} of {length / 1e6:.0f} MB")
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise EdgeVisionError(f"{redact(place)} cannot be downloaded: {reason}") from error
    if length and done != length:
        raise EdgeVisionError(f"{redact(place)} ended after {done} of {length} bytes")
    part.replace(path)
