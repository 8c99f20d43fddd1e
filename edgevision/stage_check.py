"""What a pipeline says to stages that break its rules."""

from __future__ import annotations

import inspect
from collections.abc import Container, Sequence
from typing import TYPE_CHECKING

from edgevision.errors import BufferKeptError, ConfigurationError

if TYPE_CHECKING:
    from edgevision.stage import Stage

__all__ = ["check_free", "kept_error", "returned_value", "unique_name"]


def kept_error(camera: str, sequence: int, owners: Sequence[str], picture: str) -> BufferKeptError:
    """Return the error for stages that kept buffers, or else the picture.

    Args:
        camera: name of the camera.
        sequence: number of the frame.
        owners: names of the stages that kept a buffer.
        picture: who kept the picture, "?" for an unknown stage.
    """
    if owners:
        what = f"stage {', '.join(sorted(set(owners)))} kept a buffer that belongs to the frame"
    else:
        name = "a stage" if picture == "?" else f"stage {picture}"
        what = f"{name} kept the frame's picture, or a part of it"
    return BufferKeptError(
        f"camera {camera!r}, frame {sequence}: {what}; copy what must outlive it: image.copy(), "
        "or edgevision.cv.clone(image)"
    )


def returned_value(stage: Stage, value: object, hook: str = "process") -> TypeError:
    """Return the error for a hook that returned something other than None."""
    name = f"{type(stage).__name__}.{hook}"
    if inspect.iscoroutine(value):
        value.close()
        return TypeError(
            f"{name} returned a coroutine that nobody waits for: declare it `async def` itself, "
            "without a plain function around it"
        )
    if inspect.isgenerator(value):
        value.close()
    return TypeError(
        f"{name} returned {type(value).__name__}: change the frame and return None "
        "(frame.image = ... replaces the picture)"
    )


def unique_name(name: str, taken: Container[str]) -> str:
    """Return ``name``, or the first of ``name-2``, ``name-3``, ... that is not taken."""
    if name not in taken:
        return name
    number = 2
    while f"{name}-{number}" in taken:
        number += 1
    return f"{name}-{number}"


def check_free(stage: Stage, camera: str) -> None:
    """Raise if a stage runs already.

    Raises:
        ConfigurationError: the message names the camera that has it.
    """
    if stage._running:
        raise ConfigurationError(
            f"camera {camera!r}: this {type(stage).__name__} instance runs already, for camera "
            f"{stage.camera!r}: a stage belongs to one camera; give each its own instance, or the "
            "class"
        )
