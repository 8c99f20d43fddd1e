"""Whether the process works, and whether it is ready, from a status snapshot."""

from __future__ import annotations

from typing import Any

from edgevision.status import RunnerStatus

__all__ = ["health", "readiness", "report"]


def health(status: RunnerStatus) -> list[str]:
    """Return why the process should be restarted; empty while it works.

    A camera that is unreachable is no such reason: a restart does not bring it back, and the
    runner keeps trying. A stage that never returns is one, and so is a process all of whose
    cameras have been given up.
    """
    reasons = [
        f"camera {camera.name!r}: stage {camera.stuck_stage!r} does not return"
        for camera in status.cameras
        if camera.stuck_stage
    ]
    if status.cameras and all(camera.state == "failed" for camera in status.cameras):
        reasons += [
            f"camera {camera.name!r} has failed: {camera.detail or 'no reason known'}"
            for camera in status.cameras
        ]
    return reasons


def readiness(status: RunnerStatus) -> list[str]:
    """Return why nothing useful comes out yet; empty when the process works and a camera does.

    A finite source that has ended counts as a camera that works.
    """
    reasons = health(status)
    if not any(camera.state in ("live", "ended") for camera in status.cameras):
        reasons += [
            f"camera {camera.name!r} is {camera.state}"
            + (f": {camera.detail}" if camera.detail else "")
            for camera in status.cameras
        ] or ["no camera is configured"]
    return reasons


def report(status: RunnerStatus, reasons: list[str]) -> dict[str, Any]:
    """Return the body of a health answer, JSON-serialisable."""
    return {
        "ok": not reasons,
        "reasons": reasons,
        "cameras": {camera.name: camera.state for camera in status.cameras},
    }
