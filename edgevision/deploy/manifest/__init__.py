"""Deployment manifests: made from a module's folder and the table of platforms, and checked."""

from __future__ import annotations

__all__: list[str] = []
