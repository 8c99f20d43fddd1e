"""Start the stages again when one of their files is saved, while the cameras stay open."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edgevision.errors import ConfigurationError, StageError

if TYPE_CHECKING:
    from edgevision.config import PipelineConfig
    from edgevision.runner.runner import Runner

__all__ = ["Reloader"]

_log = logging.getLogger("edgevision.reload")

_INTERVAL_S = 0.2

Stamp = dict[Path, tuple[int, int]]


class Reloader:
    """Watches the files of a pipeline.

    Args:
        make: reads the pipeline from its files as they are now.
        config: the pipeline that runs.
        runner: runs it.
    """

    def __init__(
        self, make: Callable[[], PipelineConfig], config: PipelineConfig, runner: Runner
    ) -> None:
        self._make = make
        self._config = config
        self._runner = runner
        self._files = config.files

    async def watch(self) -> None:
        """Look for saved files until cancelled; on the event loop."""
        seen = _stamp(self._files)
        while True:
            await asyncio.sleep(_INTERVAL_S)
            now = _stamp(self._files)
            if now == seen:
                continue
            # An editor may write in several steps: wait until the files rest.
            while (later := _stamp(self._files)) != now:
                now = later
                await asyncio.sleep(_INTERVAL_S)
            changed = sorted({path for path, _ in seen.items() ^ now.items()})
            await self.reload(changed)
            # A file that was saved during the reload is still to be noticed, so only those that
            # have become known by it are looked at anew.
            seen = {**_stamp([path for path in self._files if path not in now]), **now}

    async def reload(self, changed: list[Path]) -> None:
        """Read the pipeline again and start its stages; on a mistake the present ones go on."""
        names = ", ".join(path.name for path in changed)
        try:
            # On a thread: a stage file may import for seconds.
            config = await asyncio.to_thread(self._make)
        except ConfigurationError as error:
            _log.error("%s: the stages go on as they were: %s", names, error)
            return
        # A mistake is found in a file that was not known before, too.
        self._files = sorted({*self._files, *config.files})
        if _without_stages(config) != _without_stages(self._config):
            _log.warning("%s: only stages are reloaded; for the rest start again", names)
        for spec in config.camera_specs():
            camera = self._runner.cameras.get(spec.name)
            if camera is None or camera.done.is_set():
                continue
            try:
                await camera.replace_stages(spec.stages)
            except asyncio.CancelledError:
                # Also when the camera has ended meanwhile.
                if camera.done.is_set():
                    continue
                raise
            except StageError as error:
                _log.error(
                    "%s: the stages go on as they were: %s", names, error, exc_info=error.__cause__
                )
                return
        self._config = config
        _log.info("%s: reloaded", names)


def _stamp(files: list[Path]) -> Stamp:
    """Return time and size of each file; one that an editor is just replacing has none."""
    found = {}
    for path in files:
        try:
            status = path.stat()
        except OSError:
            continue
        found[path] = (status.st_mtime_ns, status.st_size)
    return found


def _without_stages(config: PipelineConfig) -> object:
    document = config.model_dump()
    del document["stages"]
    for camera in document["cameras"].values():
        del camera["stages"]
    return document
