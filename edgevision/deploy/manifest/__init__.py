"""Deployment manifests: made from a module's folder and the table of platforms, and checked.

- `read_module_folder`: what a folder says; `edgevision.deploy.manifest.document` makes manifests
  of it, `compose` and `kubernetes` the same for other runners.
- `check_manifest`: what is wrong with anyone's manifest, each `Finding` with its fix.
"""

from __future__ import annotations

from edgevision.deploy.manifest.check import check_manifest
from edgevision.deploy.manifest.finding import Finding
from edgevision.deploy.manifest.module_folder import ModuleFolder, read_module_folder

__all__ = ["Finding", "ModuleFolder", "check_manifest", "read_module_folder"]
