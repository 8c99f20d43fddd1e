"""What desired properties make of a pipeline.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from edgevision import ConfigurationError
from edgevision.harness.desired import Baseline, Wanted, changed_paths, merge, plan, without
from tests.unit.harness.pipelines import pipeline
from tests.unit.harness.wishes import patches


@pytest.fixture
def baseline(tmp_path: Path) -> Baseline:
    return Baseline(pipeline(tmp_path))


def shown(wanted: Wanted) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """Names and given parameters of each camera's stages."""
    config = wanted.config
    return {
        name: [(s.spec().name, s.values) for s in config.stages_of(name)] for name in config.cameras
    }


def hows(baseline: Baseline, wish: dict[str, Any]) -> dict[str, str]:
    before = Wanted(baseline.config)
    return {p.spec.name: p.how for p in plan(before, baseline.apply(wish))}


DOOR = [("add", {"amount": 2}), ("count", {})]
YARD = [("count", {}), ("add", {"amount": 3})]


def test_no_wish_is_pipeline_yaml(baseline: Baseline) -> None:
    assert shown(baseline.apply({})) == {"door": DOOR, "yard": YARD}
    assert hows(baseline, {}) == {"door": "keep", "yard": "keep"}
    assert baseline.apply({"$version": 3, "$metadata": {}}).paused == frozenset()


@pytest.mark.parametrize(
    ("wish", "door", "yard"),
    [
        ({"stages": {"add": {"amount": 5}}}, [("add", {"amount": 5}), DOOR[1]], YARD),
        ({"stages": {"add": {"params": {"amount": 5}}}}, [("add", {"amount": 5}), DOOR[1]], YARD),
        ({"stages": {"add": False}}, [DOOR[1]], YARD),
        ({"stage_order": ["count"]}, [DOOR[1], DOOR[0]], YARD),
        ({"stages": {"edges": True}}, [*DOOR, ("edges", {})], YARD),
        (
            {"stages": {"more": {"use": "./stages.py:Add", "amount": 9}}, "stage_order": ["more"]},
            [("more", {"amount": 9}), *DOOR],
            YARD,
        ),
        ({"stages": ["edges"]}, [("edges", {})], YARD),
        (
            {
                "stages": ["edges", {"./stages.py:Add": {"amount": 1}}],
                "cameras": {"door": {"stages": {"edges": False, "add": {"amount": 6}}}},
            },
            [("add", {"amount": 6})],
            YARD,
        ),
        (
            {"cameras": {"door": {"stages": {"count": {"step": 2}}}}},
            [DOOR[0], ("count", {"step": 2.0})],
            YARD,
        ),
        (
            {
                "stages": {"add": {"amount": 5}},
                "cameras": {"door": {"stages": {"count": False}}},
            },
            [("add", {"amount": 5})],
            YARD,
        ),
        (
            {"cameras": {"yard": {"stages": {"add": {"amount": 4}}, "stage_order": ["add"]}}},
            DOOR,
            [("add", {"amount": 4}), ("count", {})],
        ),
        ({"stages": {"add": {"use": "edges"}}}, [("add", {}), DOOR[1]], YARD),
    ],
)
def test_stages(
    baseline: Baseline, wish: dict[str, Any], door: list[object], yard: list[object]
) -> None:
    assert shown(baseline.apply(wish)) == {"door": door, "yard": yard}


def test_cameras(baseline: Baseline) -> None:
    wish: dict[str, Any] = {
        "cameras": {
            "yard": False,
            "gate": "synthetic:",
            "door": {"paused": True, "source": "synthetic:?people=1", "max_age_ms": 500},
        },
        "camera_order": ["gate"],
        "publish": {"when": "every"},
        "log_level": "Debug",
    }
    wanted = baseline.apply(wish)
    config = wanted.config
    assert list(config.cameras) == ["gate", "door"]
    assert config.cameras["door"].source.uri == "synthetic:?people=1"
    assert config.cameras["door"].max_age_ms == 500
    assert config.publish.when == "every"
    assert wanted.paused == frozenset({"door"})
    assert wanted.log_level == "debug"
    assert shown(wanted)["gate"] == DOOR
    assert config.module == "test"


@pytest.mark.parametrize(
    ("wish", "how"),
    [
        ({"stages": {"add": {"amount": 5}}}, {"door": "set", "yard": "keep"}),
        ({"stages": {"add": {"amount": 2}}}, {"door": "keep", "yard": "keep"}),
        ({"stages": {"edges": {}}}, {"door": "stages", "yard": "keep"}),
        ({"stage_order": ["count"]}, {"door": "stages", "yard": "keep"}),
        ({"stages": {"add": {"on_error": "retry"}}}, {"door": "stages", "yard": "keep"}),
        ({"cameras": {"door": {"source": "synthetic:"}}}, {"door": "open", "yard": "keep"}),
        ({"cameras": {"door": {"stall_s": 9}}}, {"door": "open", "yard": "keep"}),
        ({"cameras": {"door": {"paused": True}}}, {"door": "keep", "yard": "keep"}),
        ({"cameras": {"yard": False}}, {"door": "keep"}),
    ],
)
def test_what_has_to_be_done(baseline: Baseline, wish: dict[str, Any], how: dict[str, str]) -> None:
    assert hows(baseline, wish) == how


def test_what_is_not_wanted_any_more_goes_back_to_its_default(baseline: Baseline) -> None:
    before = baseline.apply({"stages": {"add": {"amount": 7, "words": ["a"]}}})
    after = baseline.apply({})
    (change,) = [p for p in plan(before, after) if p.spec.name == "door"]
    assert change.values == {"add": {"amount": 2, "words": []}}


REFUSED = [
    ({"camera": {}}, "camera: there is no such property, did you mean 'cameras'?"),
    ({"web": {"port": 1}}, "web: is set in pipeline.yaml alone"),
    ({"stages": {"ad": {}}}, "stages.ad: there is no stage 'ad', did you mean 'add'?"),
    ({"stages": {"add": {"amunt": 1}}}, "stages.add.amunt: .*did you mean 'amount'"),
    ({"stages": {"add": {"amount": 101}}}, "stages.add.amount: .*<= 100, got 101"),
    ({"stages": {"add": {"amount": "5"}}}, "stages.add.amount: .*must be int"),
    ({"stages": {"add": 5}}, "stages.add: a stage is an object of parameters"),
    ({"stages": 5}, "stages: must be an object of stages by name, or a list, got a number"),
    ({"stages": [None], "cameras": {"door": {"stages": {}}}}, r"stages\[0\]"),
    ({"stages": ["edges"], "stage_order": ["edges"]}, "stage_order: is not needed"),
    ({"stages": ["nothing"]}, r"stages\[0\].*no built-in stage 'nothing'"),
    ({"stages": {"x": {"use": "./none.py:X"}}}, "stages.x"),
    ({"stage_order": ["ad"]}, "stage_order: there is no 'ad', did you mean 'add'"),
    ({"stage_order": ["add", "add"]}, "stage_order: names 'add' twice"),
    ({"stage_order": "add"}, "stage_order: must be a list of names, got text"),
    ({"cameras": {"door": {"paus": True}}}, "cameras.door.paus: .*did you mean 'paused'"),
    ({"cameras": {"door": {"paused": 1}}}, "cameras.door.paused: must be true or false"),
    ({"cameras": {"door": 5}}, "cameras.door: a camera is an object"),
    ({"cameras": {"door": {"stages": {"add": {"amount": -1}}}}}, "cameras.door.stages.add.amount"),
    ({"cameras": {"new": {}}}, "cameras.new.*source"),
    ({"cameras": {"a b": "synthetic:"}}, "cameras"),
    ({"cameras": {"door": False, "yard": False}}, "cameras"),
    ({"cameras": []}, "cameras: must be an object of cameras, got a list"),
    ({"publish": {"when": "often"}}, "publish.when"),
    ({"publish": 1}, "publish: must be an object"),
    ({"log_level": "loud"}, "log_level: must be one of critical, error"),
    ({"log_level": 3}, "log_level: must be one of"),
]


@pytest.mark.parametrize(("wish", "wanted"), REFUSED, ids=[text[:30] for _, text in REFUSED])
def test_what_is_wrong_is_named_with_its_path(
    baseline: Baseline, wish: dict[str, Any], wanted: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{wanted}"):
        baseline.apply(wish)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequence=patches(10))
def test_random_wishes_are_put_in_force_or_refused(
    baseline: Baseline, sequence: list[dict[str, Any]]
) -> None:
    now, desired = baseline.apply({}), dict[str, Any]()
    for patch in sequence:
        wish = merge(desired, patch)
        try:
            wanted = baseline.apply(wish)
            plan(now, wanted)
        except ConfigurationError:
            continue
        now, desired = wanted, wish


def test_all_mistakes_are_told_at_once(baseline: Baseline) -> None:
    with pytest.raises(ConfigurationError) as caught:
        baseline.apply({"stages": {"add": {"amount": -1}, "count": {"step": 0}}})
    assert [p.path for p in caught.value.problems] == ["stages.add.amount", "stages.count.step"]


def test_substitutions_of_the_file_stay_and_those_of_the_twin_are_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMOUNT", "8")
    text = """
cameras: {door: "synthetic:"}
stages: [{"./stages.py:Add": {amount: "${AMOUNT}", zone: "a"}}]
"""
    baseline = Baseline(pipeline(tmp_path, text))
    assert shown(baseline.apply({}))["door"] == [("add", {"amount": 8, "zone": "a"})]
    wish = {"stages": {"add": {"zone": "${AMOUNT}"}}}
    assert shown(baseline.apply(wish))["door"] == [("add", {"amount": 8, "zone": "${AMOUNT}"})]


def test_merging_is_the_hub_s() -> None:
    before = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert merge(before, {"a": {"b": None, "c": [3]}, "d": {"e": None, "f": 2}}) == {
        "a": {"c": [3]},
        "d": {"f": 2},
    }
    assert before == {"a": {"b": 1, "c": [1, 2]}, "d": 1}


def test_changed_paths_lead_to_values() -> None:
    assert sorted(
        changed_paths({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}, "d": {"e": {"f": 0}}})
    ) == [
        ("a", "c"),
        ("d", "e", "f"),
    ]
    assert changed_paths({"a": 1}, {"a": True}) == [("a",)]
    assert without({"a": {"b": 1}, "c": 2}, ("a", "b")) == {"c": 2}
    assert without({"a": False}, ("a", "b")) == {}
