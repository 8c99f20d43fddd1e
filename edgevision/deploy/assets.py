"""The Dockerfiles and their context: in the installed package, or in the checkout."""

from __future__ import annotations

from pathlib import Path

from edgevision.errors import ConfigurationError

__all__ = ["checkout", "docker_folder", "module_dockerfile"]

_PACKAGE = Path(__file__).resolve().parent


def checkout() -> Path | None:
    """Return the root of the checkout that this package is used from, or None."""
    root = _PACKAGE.parents[1]
    return root if (root / "docker" / "l4t" / "Dockerfile").is_file() else None


def docker_folder() -> Path:
    """Return the folder with ``l4t/``, ``cuda/``, ``opencv/`` and what they share.

    Raises:
        ConfigurationError: the installation lacks it.
    """
    root = checkout()
    folder = root / "docker" if root else _PACKAGE / "docker"
    if not (folder / "l4t" / "Dockerfile").is_file():
        raise ConfigurationError(
            f"this installation of edgevision lacks its Dockerfiles ({folder}): install it again"
        )
    return folder


def module_dockerfile() -> Path:
    """Return the Dockerfile of a module."""
    root = checkout()
    return (root or docker_folder()) / "module" / "Dockerfile"
