"""The capture thread: opens a source, reads it into slots, and opens it again when it goes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from edgevision.errors import (
    ConfigurationError,
    CudaFaultError,
    CudaUnavailableError,
    SourceError,
    SourceTruncatedError,
    SourceUnavailableError,
)
from edgevision.redaction import redact
from edgevision.runner.backoff import Backoff
from edgevision.runner.ledger import Ledger
from edgevision.runner.spec import CameraSpec, Policy
from edgevision.runner.state import CameraState
from edgevision.slot import Slot
from edgevision.sources.source import Source

if TYPE_CHECKING:
    from edgevision.cuda.lane import Lane

__all__ = ["WAKE", "Capture", "SlotQueues"]

_log = logging.getLogger("edgevision.camera")

# A connection that lived for so long was a good one: the next back-off starts small again.
# Anything shorter keeps growing it, so that a source which opens and ends at once cannot spin.
_HEALTHY_S = 5.0
_PROBE_INTERVAL_S = 0.2


class _Wake:
    """Type of `WAKE`."""


WAKE = _Wake()
"""Put into the ready queue to make the worker look at what else it has to do."""


class SlotQueues:
    """The slots of one camera and the first queue, from the capture thread to the worker.

    The number of slots bounds the queue: one for the source to decode into, one for the worker and
    ``size`` to wait. Both directions are SimpleQueue, which waits in C.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.free: SimpleQueue[Slot | None] = SimpleQueue()
        self.ready: SimpleQueue[Slot | _Wake] = SimpleQueue()
        for _ in range(size + 2):
            self.free.put(Slot())

    def drop_oldest(self) -> Slot | None:
        """Take back the oldest waiting frame, or None if the worker was faster."""
        while True:
            try:
                item = self.ready.get_nowait()
            except Empty:
                return None
            if isinstance(item, Slot):
                return item


class Capture:
    """One camera's capture thread.

    Args:
        spec: the camera.
        source: what to read.
        policy: ``latest`` or ``wait``.
        queues: where slots come from and go to.
        ledger: told of each frame.
        state: told what the source is doing.
        ended: called once from the thread when there will be no more frames.
        sequence: number of the last frame captured so far.
        lane: the camera's lane on a CUDA device, to which frames are uploaded; None on the CPU.
    """

    def __init__(
        self,
        spec: CameraSpec,
        source: Source,
        policy: Policy,
        queues: SlotQueues,
        ledger: Ledger,
        state: CameraState,
        ended: Callable[[], None],
        sequence: int = 0,
        lane: Lane | None = None,
    ) -> None:
        self._spec = spec
        self._lane = lane
        self._source = source
        self._policy = policy
        self._queues = queues
        self._ledger = ledger
        self._state = state
        self._ended = ended
        self._stop = threading.Event()
        self._paused = False
        self._resumed = threading.Event()
        self._resumed.set()
        # Guards the moment between a read and the frame's entry into the books.
        self._lock = threading.Lock()
        self._abandoned = False
        self._backoff = Backoff(spec.first_retry_s, spec.longest_retry_s)
        self._live_since_s: float | None = None
        self.sequence = sequence
        self.reconnects = 0
        self.error: Exception | None = None
        self.size_wh: tuple[int, int] | None = None
        self.waiting_since_ns = 0
        """Monotonic time at which the source was asked for a frame; 0 while it is not."""
        self.thread = threading.Thread(target=self._run, name=f"capture {spec.name}", daemon=True)

    @property
    def uri(self) -> str:
        """Where the frames come from, without credentials."""
        return redact(self._source.uri)

    def start(self) -> None:
        """Start the thread."""
        self.thread.start()

    def stop(self) -> None:
        """Ask the thread to end; it does so after the read that it is in."""
        self._stop.set()
        self._resumed.set()
        self._queues.free.put(None)

    def abandon(self) -> None:
        """Give up on a thread whose source does not return; what it still brings is ignored."""
        with self._lock:
            self._abandoned = True
        self._stop.set()
        self._resumed.set()

    def pause(self) -> None:
        """Let no frame in from now on: a live source is closed, a finite one held where it is."""
        with self._lock:
            self._paused = True
            self._resumed.clear()
        self._set("paused")

    def resume(self) -> None:
        """Go on after `pause`."""
        with self._lock:
            self._paused = False
            if self._state.name == "paused":
                self._state.set("connecting")
        self._resumed.set()

    def stalled(self) -> None:
        """Say that the source has delivered nothing for ``stall_s``."""
        if self._state.name == "live":
            self._state.set("stalled", f"no frame for {self._spec.stall_s:g} s")

    def _run(self) -> None:
        try:
            if self._lane is not None:
                self._lane.enter()
            while not self._stop.is_set():
                self._live_since_s = None
                self._resumed.wait()
                if self._stop.is_set():
                    break
                reason = self._connection()
                if reason is None or self._stop.is_set():
                    break
                if self._paused:
                    continue
                since_s = self._live_since_s
                if since_s is not None and time.monotonic() - since_s >= _HEALTHY_S:
                    self._backoff.reset()
                self._wait(reason)
                self.reconnects += 1
        except Exception as error:
            # A source with a bug must not take its camera away in silence.
            _log.exception("camera %s: the source failed", self._spec.name)
            self._fail(error)
        finally:
            self.waiting_since_ns = 0
            with self._lock:
                abandoned = self._abandoned
            if not abandoned:
                self._ended()

    def _connection(self) -> str | None:
        """Open, read to the end and close. Return why to try again, or None to be done."""
        source = self._source
        self._set("connecting")
        try:
            self.waiting_since_ns = time.monotonic_ns()
            source.open()
            self._read_all()
        except SourceUnavailableError as error:
            return redact(str(error))
        except (
            ConfigurationError,
            CudaFaultError,
            CudaUnavailableError,
            SourceTruncatedError,
        ) as error:
            self._fail(error)
            return None
        except SourceError as error:
            if not source.live:
                self._fail(error)
                return None
            return redact(str(error))
        finally:
            self.waiting_since_ns = 0
            source.close()
        if self._stop.is_set():
            return None
        if source.live:
            return "the connection ended"
        self._set("ended")
        return None

    def _read_all(self) -> None:
        """Read frames into slots until the source ends or the thread is to stop."""
        source, queues, ledger = self._source, self._queues, self._ledger
        latest, lane = self._policy == "latest", self._lane
        while not self._stop.is_set():
            slot = queues.free.get()
            if slot is None or self._paused:
                if slot is not None:
                    queues.free.put(slot)
                if self._paused and source.live:
                    return
                self._resumed.wait()
                continue
            slot.captured_at_s = 0.0
            slot.truth = None
            try:
                if lane is not None:
                    lane.prepare(slot)
                self.waiting_since_ns = time.monotonic_ns()
                more = source.read(slot)
                self.waiting_since_ns = 0
                size_wh = slot.size_wh
                if more and lane is not None:
                    lane.send(slot)
            except BaseException:
                queues.free.put(slot)
                raise
            if not more or size_wh is None:
                queues.free.put(slot)
                return
            slot.captured_ns = time.monotonic_ns()
            if slot.captured_at_s == 0.0:
                slot.captured_at_s = time.time()
            with self._lock:
                if self._abandoned:
                    return
                if self._paused and source.live:
                    queues.free.put(slot)
                    return
                self.sequence += 1
                slot.sequence = self.sequence
                ledger.capture()
                queues.ready.put(slot)
            if self._state.name != "live":
                self._set("live", f"{size_wh[0]}x{size_wh[1]}")
                if self._live_since_s is None:
                    self._live_since_s = time.monotonic()
            self.size_wh = size_wh
            while latest and queues.ready.qsize() > queues.size:
                oldest = queues.drop_oldest()
                if oldest is not None:
                    ledger.drop_queued("overrun")
                    queues.free.put(oldest)

    def _wait(self, reason: str) -> None:
        """Back off; end early when a server that did not answer answers again."""
        delay_s = self._backoff.next_s()
        self._set("backing off", reason)
        deadline_s = time.monotonic() + delay_s
        was_away = False
        while (left_s := deadline_s - time.monotonic()) > 0:
            if self._stop.wait(min(left_s, _PROBE_INTERVAL_S)) or self._paused:
                return
            if not self._source.probes:
                continue
            if self._source.reachable():
                if was_away:
                    return
            else:
                was_away = True
        # A server that is away is asked by the cheap probe rather than by opening, so that its
        # return is noticed at once. The probe may be wrong (a proxy), so it has an end.
        deadline_s = time.monotonic() + self._spec.longest_retry_s
        while was_away and time.monotonic() < deadline_s:
            if self._source.reachable() or self._stop.wait(_PROBE_INTERVAL_S) or self._paused:
                return

    def _set(self, name: str, detail: str = "") -> None:
        with self._lock:
            over = self._state.name in ("ended", "failed")
            # A source that is just opening when it is told to pause does not hide that.
            hidden = self._paused and name in ("connecting", "live", "stalled", "backing off")
            hidden = hidden or (name == "paused" and over)
            if not self._abandoned and not hidden:
                self._state.set(name, detail)  # type: ignore[arg-type]

    def _fail(self, error: Exception) -> None:
        self.error = error
        self._set("failed", redact(str(error)))
