"""The cameras that share one instance of a BatchStage, and who runs a batch when.

There is no thread for it. The camera that completes a batch runs it on its own worker thread, while
the others of the batch wait: a camera alone waits for nobody. When a batch ends while more frames
than fit into the next one wait already, the camera that has waited longest runs the next.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

from edgevision import arena as arenas
from edgevision.batch.membership import BatchStatistics, Key, Member, Ticket
from edgevision.batch.memory import BatchMemory, Lease
from edgevision.errors import BufferKeptError
from edgevision.stage import DropFrame

if TYPE_CHECKING:
    from edgevision.batch.stage import BatchStage
    from edgevision.frame import Frame

__all__ = ["PATIENCE_S", "Group"]

PATIENCE_S = 30.0
"""A frame that waits longer for its batch to come back is given up."""

# A camera that has sent no frame to so many batches in a row is not waited for.
_MISSED_BATCHES = 8
# A shared instance that has failed on every frame of so many batches in a row takes no new camera,
# so that cameras which start anew start with a new one.
_FAILED_BATCHES = 3


class Group:
    """Some cameras and the instance that they share.

    Args:
        key: what they have in common.
        stage: the first of them; the shared instance is made with its settings.
    """

    def __init__(self, key: Key, stage: BatchStage) -> None:
        self.key = key
        self.shared = stage.make_shared(self)
        self._size = stage.batch_size
        self._deadline_ns = int(stage.deadline_ms * 1e6)
        self._lock = threading.Lock()
        self._members: list[Member] = []
        self._waiting: deque[Ticket] = deque()
        self._running = False
        self._tickets: dict[int, Ticket] = {}
        self._memory = BatchMemory()
        self._start_lock = threading.Lock()
        self._state = "new"
        self._batches = self._frames = self._largest = self._total_ns = 0
        self._failures = self._failed_in_a_row = 0
        self._stream: Any = None
        self._fence: Any = None

    @property
    def open(self) -> bool:
        """True if another camera may come; False if it has failed to start, or all too often."""
        return self._state != "failed" and self._failed_in_a_row < _FAILED_BATCHES

    def statistics(self) -> BatchStatistics:
        """Return what has been done until now."""
        with self._lock:
            return BatchStatistics(
                len(self._members),
                self._batches,
                self._frames,
                self._largest,
                self._total_ns,
                self._failures,
            )

    def add(self, stage: BatchStage) -> Member:
        """Take a camera in; `start` must follow."""
        with self._lock:
            member = Member(self, stage, self._lock)
            member.seen = self._batches
            self._members.append(member)
            return member

    def remove(self, member: Member) -> bool:
        """Let a camera go; say whether it was the last one, who must call `stop`."""
        with self._lock:
            self._members.remove(member)
            # Its buffers are not used again: what its camera does with them may not be over.
            member.lease = None
            # Those who wait may be complete without it.
            self._wake_first()
            return not self._members

    def start(self) -> bool:
        """Start the shared instance, once; False if it has been tried and has failed.

        A camera that comes while another one starts it waits for that.
        """
        with self._start_lock:
            if self._state == "new":
                self._state = "starting"
                try:
                    self.shared.start()
                except BaseException:
                    self._state = "failed"
                    self.shared.stop()
                    raise
                self._state = "started"
            return self._state == "started"

    def stop(self) -> None:
        """Stop the shared instance if it was started; the last camera calls it."""
        with self._start_lock:
            if self._state == "started":
                self._state = "stopped"
                self.shared.stop()

    def ticket(self, frame: Frame) -> Ticket:
        """Return the ticket of a frame of the batch that runs now.

        Raises:
            ValueError: it belongs to none.
        """
        found = self._tickets.get(id(frame))
        if found is None:
            raise ValueError(
                f"{type(self.shared).__name__}: {frame!r} is no frame of the batch that is being "
                "processed"
            )
        return found

    def process(self, member: Member, frame: Frame) -> Any:
        """Send a frame through a batch and wait for it, on its camera's worker thread.

        Returns:
            What ``process_batch`` returned.

        Raises:
            DropFrame: the stage dropped this frame.
            TimeoutError: the batch did not come back.
            BufferKeptError: with poisoning on, a stage kept a buffer of an earlier batch.
            Exception: what ``process_batch`` raises when it has this frame alone, or what it left
                to do raises.
        """
        ticket = Ticket(member, frame, time.monotonic_ns() + self._deadline_ns)
        with self._lock:
            kept: tuple[str, ...] = ()
            if member.lease is not None:
                lease, member.lease = member.lease, None
                kept = self._give(lease)
            if kept:
                raise BufferKeptError(
                    f"stage {', '.join(sorted(set(kept)))} kept a buffer that belongs to a batch; "
                    "copy what must outlive its frames: image.copy()"
                )
            if ticket.stream is not None:
                if member.fence is None:
                    member.fence = _new_fence()
                member.fence.set(ticket.stream)
            member.seen = self._batches
            self._waiting.append(ticket)
            batch = self._await(ticket)
        if batch:
            self._run(batch)
            batch.clear()
        error, ticket.error = ticket.error, None
        if error is not None:
            try:
                raise error
            finally:
                del error
        if ticket.drop is not None:
            raise DropFrame(ticket.drop)
        rest, ticket.rest = ticket.rest, None
        if rest is not None:
            rest()
        return ticket.value

    def _await(self, ticket: Ticket) -> list[Ticket]:
        """Wait until the ticket is done, or until it is its camera's turn to run a batch.

        Returns:
            The batch to run; empty if the ticket is done.
        """
        give_up_ns = ticket.due_ns + int(PATIENCE_S * 1e9)
        while not ticket.done:
            now_ns = time.monotonic_ns()
            until_ns = give_up_ns
            if not self._running and self._waiting:
                if self._is_due(now_ns) and ticket in islice(self._waiting, self._size):
                    count = min(self._size, len(self._waiting))
                    self._running = True
                    return [self._waiting.popleft() for _ in range(count)]
                if self._waiting[0] is ticket:
                    # It keeps the time for all.
                    until_ns = min(until_ns, ticket.due_ns)
            if now_ns >= give_up_ns:
                raise self._given_up(ticket)
            ticket.member.turn.wait(max(0.0, (until_ns - now_ns) * 1e-9))
        return []

    def _is_due(self, now_ns: int) -> bool:
        waiting = len(self._waiting)
        return (
            waiting >= self._size or now_ns >= self._waiting[0].due_ns or waiting >= self._awaited()
        )

    def _awaited(self) -> int:
        """Count the cameras that may send a frame soon."""
        oldest = self._batches - _MISSED_BATCHES
        return sum(member.seen >= oldest for member in self._members)

    def _given_up(self, ticket: Ticket) -> TimeoutError:
        if ticket in self._waiting:
            self._waiting.remove(ticket)
            self._wake_first()
            what = "waited for its turn, since the batch before has not returned"
        else:
            what = "has been in a batch that did not return"
        return TimeoutError(
            f"its frame {what}, for {PATIENCE_S:g} s; {type(self.shared).__name__}.process_batch "
            f"has frames of {', '.join(sorted(self._cameras())) or 'no camera'}"
        )

    def _cameras(self) -> set[str]:
        return {ticket.member.stage.camera for ticket in list(self._tickets.values())}

    def _wake_first(self) -> None:
        if self._waiting and not self._running:
            self._waiting[0].member.turn.notify()

    def _run(self, batch: list[Ticket]) -> None:
        """Run a batch and let its cameras go on, without the lock."""
        begun_ns = time.monotonic_ns()
        failed = "it was interrupted"
        raised = all_raised = False
        try:
            raised, all_raised = self._process(batch)
            failed = ""
        finally:
            end_ns = time.monotonic_ns()
            with self._lock:
                self._running = False
                self._batches += 1
                self._frames += len(batch)
                self._largest = max(self._largest, len(batch))
                self._total_ns += end_ns - begun_ns
                self._failures += raised
                self._failed_in_a_row = self._failed_in_a_row + 1 if all_raised else 0
                for ticket in batch:
                    if failed:
                        ticket.error = ticket.error or RuntimeError(failed)
                    # Before its camera goes on: who counts references must find none of ours.
                    ticket.frame = None
                    ticket.done = True
                    ticket.member.turn.notify()
                self._wake_first()

    def _process(self, batch: list[Ticket]) -> tuple[bool, bool]:
        """Call ``process_batch``; where it raises, once more for each frame alone.

        Returns:
            Whether it raised, and whether it raised for each frame alone as well.
        """
        if len(batch) == 1:
            return (self._call_alone(batch[0]),) * 2
        states = [ticket.frame._state() for ticket in batch if ticket.frame is not None]
        try:
            self._call(batch)
        except Exception:
            for ticket, state in zip(batch, states, strict=True):
                ticket.drop = ticket.rest = None
                if ticket.frame is not None:
                    ticket.frame._restore(state)
        else:
            return False, False
        raised = [self._call_alone(ticket) for ticket in batch]
        return True, all(raised)

    def _call_alone(self, ticket: Ticket) -> bool:
        """Call ``process_batch`` for one frame; say whether it raised."""
        try:
            self._call([ticket])
        except DropFrame as drop:
            ticket.drop = drop.reason
        except Exception as error:
            ticket.error = error
            return True
        return False

    def _call(self, batch: list[Ticket]) -> None:
        frames = [ticket.frame for ticket in batch if ticket.frame is not None]
        self._tickets = {id(ticket.frame): ticket for ticket in batch}
        with self._lock:
            lease = self._memory.take(batch[0].arena, len(batch))
            for ticket in batch:
                if ticket.member.lease is not None:  # of the run before it was run alone
                    self._give(ticket.member.lease)
                ticket.member.lease = lease
        if lease is not None:
            lease.arena.owner = self.shared.name
        token = arenas.enter(None if lease is None else lease.arena)
        try:
            value = self._on_stream(batch, frames)
        finally:
            arenas.leave(token)
            frames.clear()
            self._tickets = {}
        for ticket in batch:
            ticket.value = value

    def _give(self, lease: Lease) -> tuple[str, ...]:
        """Say that a frame of a batch has been released; with poisoning on, who kept a buffer."""
        if self._stream is None:
            return self._memory.give(lease)
        from edgevision.cuda import cuda_stream

        with cuda_stream.use(self._stream):  # what is overwritten is, in the order of the batches
            return self._memory.give(lease)

    def _on_stream(self, batch: list[Ticket], frames: list[Frame]) -> Any:
        """Call ``process_batch``, on a CUDA stream of the group's own if its cameras have some."""
        on_device = [ticket for ticket in batch if ticket.stream is not None]
        if not on_device:
            return self.shared.process_batch(frames)
        from edgevision.cuda import cuda_stream

        if self._stream is None:
            self._stream, self._fence = cuda_stream.open_stream(), _new_fence()
        with self._lock:
            # Of all of them, since buffers that come back may still be read on their streams.
            fences = [m.fence for m in self._members if m.fence is not None]
        for fence in fences:
            fence.wait(self._stream)
        with cuda_stream.use(self._stream):
            try:
                return self.shared.process_batch(frames)
            finally:
                self._fence.set(self._stream)
                for ticket in on_device:
                    self._fence.wait(ticket.stream)


def _new_fence() -> Any:
    from edgevision.cuda.cuda_stream import Fence

    return Fence()
