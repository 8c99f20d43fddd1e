"""The rules of `check_stage` about parameters."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

from edgevision.errors import ConfigurationError, ParamError, StageError
from edgevision.param import ParamSpec
from edgevision.pipeline import Pipeline
from edgevision.testing.conformance_play import Player, Shot, StageCheckError
from edgevision.testing.conformance_subject import Subject

__all__ = ["take_all_values", "take_live_changes"]


def take_all_values(subject: Subject) -> None:
    """Run the stage with each parameter at each of its limits and choices."""
    player = subject.player
    for name, value in _trials(subject):
        setting = f"with {name}={value!r}"
        try:
            stage = player.make({name: value})
            player.play(_labelled(subject.shots[:4], setting), rule="parameters", stage=stage)
        except ConfigurationError:
            # The stage says that the value does not fit the other ones, which it may.
            continue
        except StageCheckError as error:
            if error.rule in ("start", "stop"):
                player.fail(
                    "parameters",
                    f"{setting}, which its declaration allows, {_after_colon(error)}",
                    "narrow the Param's bounds, or raise ConfigurationError where values do not "
                    "fit together",
                )
            raise


def take_live_changes(subject: Subject) -> None:
    """Change each parameter between two frames, and back."""
    player = subject.player
    for name, value in _trials(subject):
        stage = player.make()
        usual = stage.settings()[name]
        shots = iter(enumerate(itertools.cycle(subject.shots), start=1))
        with player.started(stage) as pipeline:
            _show_some(player, pipeline, shots, f"before {name} changes")
            for setting in (value, usual):
                _change(player, pipeline, name, setting)
                _show_some(player, pipeline, shots, f"after {name} became {setting!r}")


def _show_some(
    player: Player, pipeline: Pipeline, shots: Iterator[tuple[int, Shot]], what: str
) -> None:
    for number, shot in itertools.islice(shots, 3):
        player.show(pipeline, _labelled([shot], what)[0], number, rule="live changes")


def _change(player: Player, pipeline: Pipeline, name: str, value: Any) -> None:
    stage = pipeline.stages[0]
    before = stage.settings()
    try:
        pipeline.configure({stage.name: {name: value}})
    except StageError as error:
        if not isinstance(error.__cause__, ConfigurationError):
            player.fail(
                "live changes",
                f"when {name} became {value!r}, {str(error).partition(': ')[2]}",
                "let changed cope with every value that the declaration allows, or raise "
                "ConfigurationError where values do not fit together",
            )
        if stage.settings() != before:
            player.fail(
                "live changes",
                f"it refused {name}={value!r}, and its other settings are not as they were",
                "set no parameter in changed",
            )


def _trials(subject: Subject) -> list[tuple[str, Any]]:
    """Return the values to try, by parameter."""
    trials = []
    for name, spec in subject.player.kind.parameters().items():
        values = subject.params.get(name)
        for value in _limits(spec) if values is None else values:
            trials.append((name, spec.check(value)))
    return trials


def _limits(spec: ParamSpec) -> list[Any]:
    """Return the values at the limits of what a declaration allows."""
    schema = spec.json_schema()
    found: list[Any] = []
    for part in schema.get("anyOf", [schema]):
        kind = part.get("type")
        if "enum" in part:
            found += part["enum"]
        elif kind == "boolean":
            found += [False, True]
        elif kind == "null":
            found.append(None)
        elif kind in ("integer", "number"):
            found += _number_limits(part, whole=kind == "integer")
    return [value for value in found if _is_another(spec, value)]


def _is_another(spec: ParamSpec, value: Any) -> bool:
    """Say whether ``value`` is allowed and not the default, which all other rules try."""
    try:
        return bool(spec.check(value) != spec.default)
    except ParamError:
        return False


def _number_limits(schema: dict[str, Any], *, whole: bool) -> list[float]:
    found: list[float] = []
    for inside, outside, toward in (
        ("minimum", "exclusiveMinimum", math.inf),
        ("maximum", "exclusiveMaximum", -math.inf),
    ):
        if outside in schema:
            bound = schema[outside]
            # The next float would be so near that only the bound itself is tried.
            step = max(abs(bound), 1.0) * 1e-3
            nearest = bound + math.copysign(1 if whole else step, toward)
            found.append(math.floor(nearest) if whole else nearest)
        elif inside in schema:
            bound = schema[inside]
            found.append((math.ceil if toward > 0 else math.floor)(bound) if whole else bound)
    return found


def _labelled(shots: Sequence[Shot], what: str) -> list[Shot]:
    return [Shot(what, shot.image, shot.detections, shot.truth) for shot in shots]


def _after_colon(error: StageCheckError) -> str:
    return str(error).partition(": ")[2].partition(".\n")[0]
