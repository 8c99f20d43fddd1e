"""Check a stage against all rules that stages obey, in one line of a test."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.frame import Frame
from edgevision.stage import Stage
from edgevision.suggestion import did_you_mean
from edgevision.testing.conformance_play import Player, Shot, StageCheckError
from edgevision.testing.conformance_rules import ALWAYS, RULES
from edgevision.testing.conformance_subject import ProcessSettings, Subject
from edgevision.testing.shapes import frames as shape_frames

__all__ = ["RULES", "StageCheckError", "check_stage"]

# A stage that has learned the scene for some frames behaves as it does later on.
_COUNT = 24


def check_stage(
    factory: Callable[[], Stage],
    *,
    frames: Iterable[Frame | NDArray[np.uint8]] | None = None,
    params: Mapping[str, Iterable[Any]] | None = None,
    prepare: Callable[[Frame], None] | None = None,
    deterministic: bool = True,
    skip: Collection[str] = (),
) -> None:
    """Check that a stage obeys the rules of stages, on small pictures, in a few seconds.

    ::

        def test_it_obeys_the_rules():
            check_stage(Motion)

    It starts, runs and stops some dozens of instances, on one or two threads, with poisoning on.

    The rules, by name:

    - ``factory``: each call makes a new instance.
    - ``start``, ``frames``, ``stop``: the hooks raise nothing, with frames or without.
    - ``failed start``: ``stop`` also works after a ``start`` that raised at once.
    - ``returns``: ``process`` returns None.
    - ``detections``: boxes are finite, in order and in the picture (to 1 px); confidence is 0 to 1.
    - ``values``: what is in ``frame.values`` and in data columns has a JSON form.
    - ``frame``: camera, sequence, time, truth, and what earlier stages added stay.
    - ``kept buffers``, ``kept frames``: nothing of a frame is kept that is used again.
    - ``drops``: the reasons of DropFrame are a few fixed texts.
    - ``restart``: an instance that was stopped works when it is started again.
    - ``sizes``, ``gray``, ``views``, ``resolution``, ``extremes``: it takes pictures from 16 x 12
      on, odd, upright, gray, a part of a larger one, of another size than the one before, black,
      white, noise.
    - ``determinism``: the same frames give the same results.
    - ``shared state``: two instances in turn do not change each other's results.
    - ``threads``: two instances on two threads give the results that each gives alone.
    - ``batches``: a BatchStage gives the frames of several cameras, of different sizes, in one
      batch the results that each gets alone.
    - ``leftovers``: no thread and no open file is left after ``stop``.
    - ``process``: settings of the whole process (current folder, environment, cv2's threads,
      signal handlers, NumPy's error handling) stay.
    - ``parameters``: the stage works with each parameter at each of its bounds and choices.
    - ``live changes``: it goes on when a parameter changes between two frames, and back.

    Args:
        factory: the class, or a function without arguments that makes an instance.
        frames: pictures that mean something to the stage, shown instead of the shapes of
            `edgevision.testing.frames` where the rule asks for no other ones; at least 2.
        params: more values to try, by parameter; replaces the bounds of those that it names.
        prepare: changes each frame before the stage sees it, as an earlier stage would.
        deterministic: False if two runs may differ; leaves out ``determinism``, ``shared state``
            and what ``threads`` compares.
        skip: names of rules that do not apply. Those that all the others need cannot be left out:
            ``factory``, ``start``, ``frames``, ``stop`` and ``returns``.

    Raises:
        StageCheckError: the first broken rule; an AssertionError.
        ConfigurationError: the stage says that it cannot run here.
        ValueError: ``skip`` or ``params`` names something that there is not, or a value is refused.
    """
    for name in skip:
        if name not in RULES:
            raise ValueError(
                f"there is no rule {name!r}{did_you_mean(name, RULES)} (there are: "
                f"{', '.join(RULES)})"
            )
        if name in ALWAYS:
            raise ValueError(f"the rule {name!r} cannot be skipped: all the others need it")
    settings = ProcessSettings.now()
    try:
        player = Player(factory, prepare, skip)
        subject = Subject(
            player=player,
            shots=_shots(frames, seed=0),
            other_shots=_shots(frames, seed=1),
            params=_params(player, params or {}),
            deterministic=deterministic,
            settings=settings,
        )
        for name, rule in RULES.items():
            if rule is not None and name not in skip:
                rule(subject)
    finally:
        settings.restore()


def _params(player: Player, params: Mapping[str, Iterable[Any]]) -> dict[str, list[Any]]:
    known = player.kind.parameters()
    for name in params:
        if name not in known:
            raise ValueError(
                f"{player.name} has no parameter {name!r}{did_you_mean(name, known)} (it has: "
                f"{', '.join(known) or 'none'})"
            )
    return {name: list(values) for name, values in params.items()}


def _shots(pictures: Iterable[Frame | NDArray[np.uint8]] | None, *, seed: int) -> list[Shot]:
    """Return the main sequence; seed 1 is another one for a second camera."""
    if pictures is None:
        # Every other frame comes with what an earlier stage may have found.
        return [
            Shot(
                "moving shapes",
                frame.image,
                frame.truth.objects if number % 2 and frame.truth else None,
                frame.truth,
            )
            for number, frame in enumerate(shape_frames(_COUNT, seed=seed))
        ]
    shots = []
    for picture in pictures:
        if isinstance(picture, Frame):
            shots.append(Shot("as given", picture.image, picture.detections, picture.truth))
        else:
            shots.append(Shot("as given", picture))
    if len(shots) < 2:
        raise ValueError(f"frames: at least 2 are needed, got {len(shots)}")
    return shots[::-1] if seed else shots
