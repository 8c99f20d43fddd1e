"""What goes through the ``az`` command: deployments, what is deployed, the fleet's reports."""

from __future__ import annotations

from edgevision.deploy.azure.command import Az, AzError

__all__ = ["Az", "AzError"]
