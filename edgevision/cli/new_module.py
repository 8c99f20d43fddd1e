"""``edgevision new module``: a folder that runs, tests and builds at once."""

from __future__ import annotations

import shutil
from pathlib import Path

from edgevision.cli.output import Output
from edgevision.errors import ConfigurationError

__all__ = ["new_module"]


def new_module(name: str, parent: Path, platform: str, output: Output) -> None:
    """Write the folder ``name`` into ``parent``; nothing is overwritten.

    Raises:
        ConfigurationError: the name or the platform is none, there is such a folder already, or it
            cannot be written; nothing is left of it then.
    """
    from edgevision.deploy.scaffold import module_files

    files = module_files(name, platform)
    folder = parent / name
    if folder.exists():
        raise ConfigurationError(f"{folder} is there already; nothing was written")
    try:
        for path, text in files.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise ConfigurationError(
            f"{error.filename or folder} cannot be written: {error.strerror}"
        ) from error
    if output.data_is_json:
        output.data({"folder": str(folder), "files": [str(path) for path in files]})
        return
    for path in files:
        print(folder / path)
    print(f"\nNext:\n  cd {folder}\n  edgevision simulate")
