"""The module twin's desired properties: kept up to date, put into force, and answered for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edgevision.errors import ConfigurationError, EdgeVisionError, StageError
from edgevision.harness.desired import Baseline, Wanted, changed_paths, merge, plan, without
from edgevision.harness.log import set_level
from edgevision.harness.transport import TransportError, Twin
from edgevision.redaction import redact
from edgevision.runner.runner import Runner

__all__ = ["DesiredOutcome", "Steering"]

_log = logging.getLogger("edgevision.twin")

_REFRESH_RETRY_S = 5.0


@dataclass(frozen=True)
class DesiredOutcome:
    """What became of the desired properties.

    Attributes:
        version: of the desired properties that were looked at last; 0 before the first.
        applied_version: of those that are in force; 0: those of pipeline.yaml alone.
        reason: why the last ones were refused; "" if they were not.
        path: the place in the desired properties that the reason is about; "" if there is none.
    """

    version: int = 0
    applied_version: int = 0
    reason: str = ""
    path: str = ""

    @property
    def status(self) -> str:
        """``none`` before the first, ``applied`` or ``refused``."""
        if self.version == 0:
            return "none"
        return "refused" if self.reason else "applied"


class Steering:
    """Puts desired properties, and what direct methods set, into force; all on the event loop.

    Three layers: pipeline.yaml, over it the desired properties, over these what methods have set
    since the module started. Whoever speaks last wins: a desired property that changes takes the
    place of what a method had set there.

    Args:
        runner: runs the cameras; started.
        baseline: the pipeline.yaml.
        log_level: the level without a wish for another, see `edgevision.harness.log.LEVELS`.
        fetch: returns the whole twin, for when a patch was missed; raises TransportError.
        changed: called when an outcome or anything in force has changed.
        timeout_s: how long a stage may keep a change waiting.
        retry_s: wait before the whole twin is asked for again.
    """

    def __init__(
        self,
        runner: Runner,
        baseline: Baseline,
        *,
        log_level: str = "info",
        fetch: Callable[[], Awaitable[Twin]] | None = None,
        changed: Callable[[], None] = lambda: None,
        timeout_s: float = 10.0,
        retry_s: float = _REFRESH_RETRY_S,
    ) -> None:
        self._runner = runner
        self._baseline = baseline
        self._start_level = log_level
        self._fetch = fetch
        self._changed = changed
        self._timeout_s = timeout_s
        self._retry_s = retry_s
        self._desired: dict[str, Any] = {}
        self._accepted: dict[str, Any] = {}
        self._local: dict[str, Any] = {}
        self._wish: Mapping[str, Any] = {}
        self._known_version: int | None = None
        self._missed = False
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._applying = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.outcome = DesiredOutcome()
        self.now = Wanted(baseline.config)
        """What is in force."""

    @property
    def log_level(self) -> str:
        """The level in force."""
        return self.now.log_level or self._start_level

    def start(self) -> None:
        """Begin to apply what comes."""
        self._task = asyncio.create_task(self._apply_all(), name="desired properties")

    async def stop(self) -> None:
        """Apply nothing any more; a change that is under way is finished or taken back."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    def take_twin(self, twin: Twin) -> None:
        """Take the whole twin, as it comes after each connection."""
        self._take(_without_dollar(twin.desired), twin.version)
        self._missed = False

    def take_patch(self, patch: Mapping[str, Any]) -> None:
        """Take a patch; one that is older than what is known or the same again is ignored."""
        version = patch.get("$version")
        if not isinstance(version, int) or isinstance(version, bool):
            _log.warning("a patch of the desired properties has no $version: asking for all")
            self.refresh()
            return
        known = self._known_version
        if known is not None and version <= known:
            return
        if known is None or version > known + 1:
            # One before it is missing, and it cannot be known which properties that one had.
            self.refresh()
            if self._fetch is not None:
                return
        self._take(merge(self._desired, _without_dollar(patch)), version)

    async def set(self, patch: Mapping[str, Any]) -> None:
        """Change what methods have set by ``patch``, in the layout of desired properties.

        Null takes back what a method had set. It holds until the module ends, or until the desired
        properties say something else at the same place.

        Raises:
            ConfigurationError: something in it is wrong; nothing was changed.
            StageError: a stage refused or hangs; nothing was changed.
        """
        async with self._applying:
            local = merge(self._local, patch)
            # Not over desired properties that were refused: a camera can be paused all the same.
            await self._apply(merge(self._accepted, local))
            self._local = local
        self._changed()

    async def idle(self) -> None:
        """Return when everything that came has been looked at."""
        await self._idle.wait()

    def _take(self, desired: dict[str, Any], version: int) -> None:
        for way in changed_paths(self._desired, desired):
            self._local = without(self._local, way)
        self._desired = desired
        self._known_version = version
        self._wake_up()

    def refresh(self) -> None:
        """Ask for the whole twin, since a patch may have been missed."""
        self._missed = True
        self._wake_up()

    def _wake_up(self) -> None:
        self._idle.clear()
        self._wake.set()

    async def _apply_all(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._missed and self._fetch is not None:
                self._missed = False
                await self._fetch_twin()
            async with self._applying:
                await self._apply_desired()
            self._changed()
            if not self._wake.is_set():
                self._idle.set()

    async def _fetch_twin(self) -> None:
        if self._fetch is None:
            return
        try:
            self.take_twin(await self._fetch())
        except TransportError as error:
            # A new connection brings the whole twin too; this is for one that stays.
            _log.warning("the module twin cannot be had: %s", error)
            self._missed = True
            asyncio.get_running_loop().call_later(self._retry_s, self._wake.set)

    async def _apply_desired(self) -> None:
        version, before, desired = self._known_version, self.outcome, self._desired
        if version is None:
            return
        wish = merge(desired, self._local)
        try:
            if wish != self._wish:
                await self._apply(wish)
        except EdgeVisionError as error:
            self.outcome = _refused(version, before.applied_version, error)
            _log.error("desired properties of version %d refused: %s", version, redact(str(error)))
            return
        self._accepted = desired
        self.outcome = DesiredOutcome(version, version)
        if self.outcome != before:
            _log.info("desired properties of version %d are in force", version)

    async def _apply(self, wish: Mapping[str, Any]) -> None:
        """Put ``wish`` into force, as a whole or not at all."""
        try:
            # On a thread: a stage file may import for seconds.
            wanted = await asyncio.to_thread(self._baseline.apply, wish)
            publish = wanted.config.publish
            await self._runner.revise(
                plan(self.now, wanted),
                publish=None if publish == self.now.config.publish else publish,
                timeout_s=self._timeout_s,
            )
        except EdgeVisionError:
            raise
        except Exception as error:
            # A user's stage may raise anything, and the next properties are to be taken all the
            # same: whoever applies them must not end.
            raise StageError(
                redact(f"{type(error).__name__}: {error}"), camera="?", stage="?", sequence=None
            ) from error
        self.now = wanted
        self._wish = wish
        set_level(self.log_level)


def _refused(version: int, applied: int, error: EdgeVisionError) -> DesiredOutcome:
    problems = getattr(error, "problems", ())
    path = getattr(error, "path", None) or (problems[0].path if problems else "") or ""
    alone = isinstance(error, ConfigurationError) and len(problems) < 2
    text = getattr(error, "message", "") if alone else ""
    return DesiredOutcome(version, applied, redact(text or str(error)), path)


def _without_dollar(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if not key.startswith("$")}
