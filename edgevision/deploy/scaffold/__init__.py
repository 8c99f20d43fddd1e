"""The first files of something new: a module's folder."""

from __future__ import annotations

from edgevision.deploy.scaffold.module_files import module_files

__all__ = ["module_files"]
