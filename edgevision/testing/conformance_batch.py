"""The rule of `check_stage` about stages that see the frames of several cameras at once."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from itertools import cycle, islice
from typing import Any

from edgevision.batch import BatchStage
from edgevision.errors import ConfigurationError
from edgevision.stage import Stage
from edgevision.testing.conformance_play import Outcome, Player, Shot, StageCheckError, difference
from edgevision.testing.conformance_subject import Subject
from edgevision.testing.shapes import frames

__all__ = ["take_batches"]

_COUNT = 6
_TIMEOUT_S = 60.0
_SIZES = [(96, 64), (101, 67)]


def take_batches(subject: Subject) -> None:
    """Send the frames of three cameras through common batches."""
    player = subject.player
    if not issubclass(player.kind, BatchStage):
        return
    sequences = [list(islice(cycle(subject.shots), _COUNT))]
    for size_wh in _SIZES:
        shots = [Shot("another camera's picture", f.image) for f in frames(4, size_wh=size_wh)]
        sequences.append(list(islice(cycle(shots), _COUNT)))
    alone = [player.play(shots, rule="batches") for shots in sequences]
    together = _together(player, sequences)
    if not subject.deterministic:
        return
    for camera, runs in enumerate(zip(alone, together, strict=True), start=1):
        for number, pair in enumerate(zip(*runs, strict=True), start=1):
            differs = difference(*pair)
            if differs:
                player.fail(
                    "batches",
                    f"a camera alone, and in one batch with two others: on frame {number} of "
                    f"camera {camera} they differ in {differs}",
                    "let nothing of a frame depend on the others of its batch: sizes may differ, "
                    "and parameters and state are self.of(frame)'s",
                )


def _together(player: Player, sequences: list[list[Shot]]) -> list[list[Outcome]]:
    """Run the cameras on a thread each; every batch has a frame of each."""
    outcomes: list[list[Outcome]] = [[] for _ in sequences]
    failures: list[BaseException] = []
    step = threading.Barrier(len(sequences))

    def run(index: int, pipeline: Any) -> None:
        try:
            for number, shot in enumerate(sequences[index], start=1):
                step.wait(_TIMEOUT_S)
                outcomes[index].append(player.show(pipeline, shot, number, rule="batches"))
        except BaseException as error:
            step.abort()
            failures.append(error)

    with ExitStack() as stack:
        pipelines = [
            stack.enter_context(player.started(_patient(player), camera=f"camera-{index}"))
            for index in range(len(sequences))
        ]
        workers = [
            threading.Thread(target=run, args=pair, daemon=True) for pair in enumerate(pipelines)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(_TIMEOUT_S)
        if any(worker.is_alive() for worker in workers):
            player.fail(
                "batches",
                f"the frames of three cameras did not come back within {_TIMEOUT_S:g} s",
                "let process_batch return; it holds up all cameras meanwhile",
            )
        shared = pipelines[0].stages[0]
        if isinstance(shared, BatchStage) and shared.batches.failures and not failures:
            player.fail(
                "batches",
                "process_batch raised for the frames of three cameras together, and for none of "
                "them alone",
                "expect pictures of different sizes, gray ones among them, in one batch",
            )
        for error in failures:
            if isinstance(error, StageCheckError):
                raise error
        for error in failures:
            if not isinstance(error, threading.BrokenBarrierError):
                raise error
    return outcomes


def _patient(player: Player) -> Stage:
    """Make a stage that waits for the frames of all cameras, if that can be set."""
    settings = {}
    for name, value in (("deadline_ms", 1000.0), ("batch_size", 8)):
        if name in player.kind.parameters():
            settings[name] = value
    try:
        return player.make(settings)
    except ConfigurationError:
        return player.make()
