"""The files of a new module's folder."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path, PurePosixPath

from edgevision.deploy.assets import module_dockerfile
from edgevision.deploy.manifest.document import template
from edgevision.deploy.manifest.module_folder import read_module_folder
from edgevision.deploy.platforms import platform
from edgevision.errors import ConfigurationError

__all__ = ["module_files"]

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_FOLDER = Path(__file__).with_name("module")
_PLACEHOLDER = "@name@"
# The wheel holds no hidden files.
_HIDDEN = {
    "env.example": ".env.example",
    "gitignore": ".gitignore",
    "dockerignore": ".dockerignore",
    "github": ".github",
}


def module_files(name: str, platform_name: str) -> dict[PurePosixPath, str]:
    """Return the text of each file by its path in the new folder.

    Args:
        name: of the module and of its image.
        platform_name: platform that deployment.template.json is for.

    Raises:
        ConfigurationError: the name cannot be that of a module and of an image, or there is no such
            platform.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"a module cannot be called {name!r}: its image has the same name, so it is letters "
            "a-z, digits, '_' and '-', begins with a letter and has 63 at most"
        )
    row = platform(platform_name)
    found = {
        path: text.replace(_PLACEHOLDER, name)
        for path, text in _templates(_FOLDER, PurePosixPath()).items()
    }
    found[PurePosixPath("Dockerfile")] = module_dockerfile().read_text("utf-8")
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / name
        folder.mkdir()
        for part in ("pipeline.yaml", "deployment.yaml", "module.json", "stages.py"):
            (folder / part).write_text(found[PurePosixPath(part)], encoding="utf-8")
        made = template(read_module_folder(folder), row)
    found[PurePosixPath("deployment.template.json")] = json.dumps(made, indent=2) + "\n"
    return dict(sorted(found.items()))


def _templates(folder: Path, place: PurePosixPath) -> dict[PurePosixPath, str]:
    found: dict[PurePosixPath, str] = {}
    for item in folder.iterdir():
        name = item.name.removesuffix(".tmpl")
        path = place / _HIDDEN.get(name, name)
        if item.is_dir():
            found.update(_templates(item, path))
        elif item.name.endswith(".tmpl"):
            found[path] = item.read_text("utf-8")
    return found
