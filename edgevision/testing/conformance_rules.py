"""The rules that `check_stage` checks by running a stage in a certain way."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence

from edgevision.errors import StageError
from edgevision.pipeline import Pipeline
from edgevision.testing.conformance_batch import take_batches
from edgevision.testing.conformance_params import take_all_values, take_live_changes
from edgevision.testing.conformance_play import Outcome, Player, Shot, StageCheckError, difference
from edgevision.testing.conformance_process import leave_nothing, leave_the_process
from edgevision.testing.conformance_subject import Subject
from edgevision.testing.shapes import black, frames, gray, noise, white

__all__ = ["ALWAYS", "RULES"]

_SIZES = [(64, 48), (101, 67), (48, 160), (16, 12)]
_MOST_REASONS = 8
_THREAD_TIMEOUT_S = 60.0


def _frames(subject: Subject) -> None:
    outcomes = subject.player.play(subject.shots)
    if all(outcome.dropped for outcome in outcomes):
        subject.player.fail(
            "frames",
            f"it dropped all {len(outcomes)} frames, the first for {outcomes[0].dropped!r}, so "
            "nothing can be seen of it",
            "give pictures that it lets through: check_stage(..., frames=[...])",
        )


def _drops(subject: Subject) -> None:
    reasons = list(subject.player.reasons)
    if len(reasons) > _MOST_REASONS:
        subject.player.fail(
            "drops",
            f"it dropped frames for {len(reasons)} different reasons, such as {reasons[0]!r} and "
            f"{reasons[1]!r}",
            "drops are counted by reason: give DropFrame a fixed text, and put the number into "
            "frame.values or a log",
        )


def _stop(subject: Subject) -> None:
    with subject.player.started(subject.player.make()):
        pass


def _failed_start(subject: Subject) -> None:
    stage = subject.player.make()
    pipeline = Pipeline([stage])
    # As after a start that raised in its first line.
    stage.start = _raises  # type: ignore[method-assign]
    try:
        pipeline.start()
    except StageError as error:
        said = str(error).partition("; then stage ")[2].partition(" raised ")[2]
        if said:
            subject.player.fail(
                "failed start",
                f"after a start that raised at once, stop raised {said}",
                "stop is called for every start that was entered: give the attributes that it uses "
                "a value in the class body (`file = None`), and let stop test them",
            )


def _raises() -> None:
    raise RuntimeError("a start that fails, to see what stop does then")


def _restart(subject: Subject) -> None:
    player = subject.player
    stage = player.make()
    player.play(subject.shots[:4], stage=stage)
    try:
        player.play(subject.shots[:4], stage=stage)
    except StageCheckError as error:
        player.fail(
            "restart",
            f"the same instance, started again after stop: {str(error).partition(': ')[2]}",
            "make in start, not in __init__, whatever stop gives back",
        )


def _sizes(subject: Subject) -> None:
    for size_wh in _SIZES:
        shots = [Shot("a small picture", frame.image) for frame in frames(3, size_wh=size_wh)]
        subject.player.play(shots, rule="sizes")


def _gray(subject: Subject) -> None:
    shots = [Shot("a gray picture", gray(f.image)) for f in frames(4, size_wh=(96, 64))]
    subject.player.play(shots, rule="gray")


def _views(subject: Subject) -> None:
    shots = [
        Shot("a part of a larger picture", f.image, is_view=True)
        for f in frames(4, size_wh=(96, 64))
    ]
    subject.player.play(shots, rule="views")


def _resolution(subject: Subject) -> None:
    shots = []
    for size_wh in [(160, 120), (96, 64), (160, 120), (120, 160)]:
        what = "another size than before"
        shots += [Shot(what, frame.image) for frame in frames(3, size_wh=size_wh)]
    subject.player.play(shots, rule="resolution")


def _extremes(subject: Subject) -> None:
    shots = [
        *[Shot("black", black())] * 2,
        *[Shot("white", white())] * 2,
        *(Shot("noise", noise(seed=seed)) for seed in range(3)),
        Shot("black", black()),
    ]
    subject.player.play(shots, rule="extremes")


def _determinism(subject: Subject) -> None:
    if not subject.deterministic:
        return
    player = subject.player
    first, second = player.play(subject.shots), player.play(subject.shots)
    _compare(
        player,
        "determinism",
        "the same frames shown to two fresh instances",
        (first, second),
        "let results depend on the frames and the parameters alone: seed random numbers in start, "
        "take times from frame.captured_at_s; where they must differ, "
        "check_stage(..., deterministic=False)",
    )


def _shared_state(subject: Subject) -> None:
    if not subject.deterministic:
        return
    player = subject.player
    alone = player.play(subject.shots)
    in_turn = []
    with (
        player.started(player.make(), camera="camera") as one,
        player.started(player.make(), camera="other") as other,
    ):
        pairs = zip(subject.shots, subject.other_shots, strict=True)
        for number, (shot, other_shot) in enumerate(pairs, start=1):
            in_turn.append(player.show(one, shot, number, rule="shared state"))
            player.show(other, other_shot, number, rule="shared state")
    _compare(
        player,
        "shared state",
        "an instance alone, and in turn with an instance of another camera",
        (alone, in_turn),
        "keep state in self, set in start, and none in the class, the module or a default argument",
    )


def _threads(subject: Subject) -> None:
    player = subject.player
    sequences = [subject.shots, subject.other_shots]
    alone = [player.play(shots) for shots in sequences]
    together: list[list[Outcome]] = [[], []]
    failures: list[BaseException] = []
    both_started = threading.Barrier(2)

    def run(index: int) -> None:
        try:
            with player.started(player.make(), camera=f"camera-{index}") as pipeline:
                both_started.wait(_THREAD_TIMEOUT_S)
                for number, shot in enumerate(sequences[index], start=1):
                    together[index].append(player.show(pipeline, shot, number, rule="threads"))
        except BaseException as error:
            both_started.abort()
            failures.append(error)

    # Python's threads take turns at far more places than usual, so that races show.
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    workers = [threading.Thread(target=run, args=(index,), daemon=True) for index in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(_THREAD_TIMEOUT_S)
    sys.setswitchinterval(interval_s)
    if any(worker.is_alive() for worker in workers):
        player.fail(
            "threads",
            f"two instances on two threads did not end within {_THREAD_TIMEOUT_S:g} s",
            "hold no lock of the class or the module while waiting",
        )
    for error in failures:
        if not isinstance(error, threading.BrokenBarrierError):
            raise error
    if not subject.deterministic:
        return
    for index in range(2):
        _compare(
            player,
            "threads",
            "an instance alone, and beside another one on another thread",
            (alone[index], together[index]),
            "keep state in self, set in start; give each instance a detector of its own, since few "
            "objects of cv2 can be used by two threads",
        )


def _compare(
    player: Player,
    rule: str,
    what: str,
    runs: tuple[Sequence[Outcome], Sequence[Outcome]],
    mend: str,
) -> None:
    for number, pair in enumerate(zip(*runs, strict=True), start=1):
        differs = difference(*pair)
        if differs:
            player.fail(rule, f"{what}: on frame {number} they differ in {differs}", mend)


RULES: dict[str, Callable[[Subject], None] | None] = {
    # Those without a function are checked whenever a stage is made or shown a frame.
    "factory": None,
    "start": None,
    "returns": None,
    "detections": None,
    "values": None,
    "frame": None,
    "kept buffers": None,
    "kept frames": None,
    "frames": _frames,
    "stop": _stop,
    "failed start": _failed_start,
    "restart": _restart,
    "sizes": _sizes,
    "gray": _gray,
    "views": _views,
    "resolution": _resolution,
    "extremes": _extremes,
    "drops": _drops,
    "determinism": _determinism,
    "shared state": _shared_state,
    "batches": take_batches,
    "threads": _threads,
    "leftovers": leave_nothing,
    "parameters": take_all_values,
    "live changes": take_live_changes,
    "process": leave_the_process,
}
"""Every rule by its name, in the order in which they are checked."""

ALWAYS = frozenset({"factory", "start", "frames", "stop", "returns"})
"""The rules without which no other one can be checked."""
