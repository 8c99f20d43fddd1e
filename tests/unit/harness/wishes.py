"""Random desired properties, right and wrong, and what must hold after each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from edgevision.harness.desired import merge
from edgevision.harness.transport import Twin
from edgevision.harness.twin import Steering
from edgevision.param import json_of
from edgevision.pipeline import Pipeline
from edgevision.runner import Runner
from edgevision.runner.camera import Camera
from tests.unit.harness.pipelines import until

__all__ = ["check_whole", "patches", "send"]

_JUNK: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=8),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)


def _or_junk(strategy: st.SearchStrategy[Any], share: int = 8) -> st.SearchStrategy[Any]:
    """``strategy``, and once in a while null or anything at all."""
    return st.integers(0, share).flatmap(
        lambda n: _JUNK if n == 0 else st.none() if n == 1 else strategy
    )


_SMALL = "synthetic:?width=96&height=64&fps=50&people=0&seed="
_ADD = st.fixed_dictionaries(
    {},
    optional={
        "amount": _or_junk(st.sampled_from([0, 1, 50, 100, 66, 101, -1])),
        "words": _or_junk(st.lists(st.sampled_from(["a", "b"]), max_size=2)),
        "zone": st.sampled_from(["north", "south", None]),
        "use": st.sampled_from(["./stages.py:Add", "./stages.py:Count", None]),
        "on_error": st.sampled_from(["drop", "retry", "never", None]),
    },
)
_COUNT = st.fixed_dictionaries({}, optional={"step": _or_junk(st.sampled_from([0.5, 2, 0, "1"]))})
_MORE = st.sampled_from(
    [{"use": "edges"}, {"use": "./stages.py:Add", "amount": 3}, {"use": "./stages.py:Broken"}, {}]
)
_STAGES = _or_junk(
    st.fixed_dictionaries(
        {},
        optional={
            "add": st.one_of(_ADD, st.sampled_from([None, False, True])),
            "count": st.one_of(_COUNT, st.sampled_from([None, False])),
            "more": st.one_of(_MORE, st.sampled_from([None, None, False])),
        },
    ),
    16,
)
_ORDER = _or_junk(st.permutations(["add", "count"]).map(list), 12)
_CAMERA = st.fixed_dictionaries(
    {},
    optional={
        "source": _or_junk(st.integers(1, 3).map(lambda n: f"{_SMALL}{n}"), 12),
        "paused": _or_junk(st.booleans(), 16),
        "stages": _STAGES,
        "stage_order": _ORDER,
        "stall_s": _or_junk(st.sampled_from([1, 5, 0]), 12),
    },
)
_CAMERAS = st.fixed_dictionaries(
    {},
    optional={
        "door": st.one_of(_CAMERA, st.sampled_from([None, False])),
        "yard": st.one_of(_CAMERA, st.sampled_from([None, False])),
        "gate": st.one_of(_CAMERA, st.sampled_from([f"{_SMALL}9", None, None])),
    },
)
_PATCH = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={
            "stages": _STAGES,
            "stage_order": _ORDER,
            "publish": st.sampled_from([{"when": "every"}, {"when": "x"}, None]),
            "log_level": st.sampled_from(["info", "loud", None]),
        },
    ),
    st.fixed_dictionaries({"cameras": _CAMERAS}),
    st.fixed_dictionaries({"cameras": _or_junk(_CAMERAS, 30), "stages": _STAGES}),
    st.just({"cameras": None, "stages": None, "stage_order": None, "log_level": None}),
    st.dictionaries(st.text(st.characters(codec="ascii", min_codepoint=97), max_size=6), _JUNK),
)


def patches(count: int) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Sequences of ``count`` patches."""
    return st.lists(_PATCH, min_size=count, max_size=count)


async def _pipeline(camera: Camera) -> Pipeline:
    await until(lambda: camera.worker.pipeline is not None, "its stages")
    live = camera.worker.pipeline
    assert live is not None
    return live


async def send(
    runner: Runner, steering: Steering, sequence: Sequence[Mapping[str, Any]]
) -> AsyncIterator[str]:
    """Send patches one by one and check after each; give what became of it.

    After one that is refused the properties are put back, or all after it would be refused too.
    """
    good: dict[str, Any] = {}
    steering.take_twin(Twin({"$version": 1}, {}))
    await steering.idle()
    version = 1
    for patch in sequence:
        version += 1
        steering.take_patch({**patch, "$version": version})
        await steering.idle()
        outcome = steering.outcome
        assert outcome.version == version
        await check_whole(runner, steering)
        yield outcome.status
        if outcome.status == "applied":
            good = merge(good, patch)
            continue
        before = steering.now
        version += 1
        steering.take_twin(Twin({**good, "$version": version}, {}))
        await steering.idle()
        assert steering.outcome.status == "applied", steering.outcome
        assert steering.now is before
        await check_whole(runner, steering)


async def check_whole(runner: Runner, steering: Steering) -> None:
    """What runs is what is said to be in force, camera by camera and stage by stage."""
    now = steering.now
    assert list(runner.cameras) == list(now.config.cameras)
    outcome = steering.outcome
    assert (outcome.applied_version == outcome.version) == (outcome.status == "applied")
    for name, camera in runner.cameras.items():
        assert camera.paused == (name in now.paused), name
        wanted = now.config.stages_of(name)
        if any(s.use.endswith("Broken") for s in wanted):
            continue  # a camera that came with it waits for it to start
        live = await _pipeline(camera)
        assert [s.name for s in live.stages] == [s.spec().name for s in wanted]
        for stage, config in zip(live.stages, wanted, strict=True):
            specs = stage.parameters()
            expected = {
                key: json_of(config.values.get(key, spec.default)) for key, spec in specs.items()
            }
            assert {k: json_of(v) for k, v in stage.settings().items()} == expected
