"""What pipeline.yaml may say about publishing, and what comes of a mistake."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import BaseModel

from edgevision.errors import ConfigurationError
from edgevision.upstream.console import ConsoleUpstream
from edgevision.upstream.jsonl import JsonlUpstream
from edgevision.upstream.registry import (
    UpstreamKind,
    open_upstream,
    read_upstream,
    register_upstream,
    upstream_kinds,
)
from edgevision.upstream.settings import (
    ConsoleSettings,
    DeliverySettings,
    JsonlSettings,
    PublishSettings,
    UpstreamSettings,
    validated,
)

MODELS: list[type[BaseModel]] = [
    PublishSettings,
    DeliverySettings,
    ConsoleSettings,
    JsonlSettings,
    UpstreamSettings,
]


def test_the_defaults_are_change_with_a_heartbeat() -> None:
    settings = PublishSettings()
    assert (settings.when, settings.heartbeat_s, settings.min_interval_s) == ("change", 60, 1)
    assert settings.hold_s >= settings.min_interval_s


@pytest.mark.parametrize("model", MODELS)
def test_every_field_is_described_and_times_have_their_unit(model: type[BaseModel]) -> None:
    for name, field in _fields(model):
        assert field.get("description"), name
        if name.endswith("_s"):
            assert field["unit"] == "s", name


def _fields(model: type[BaseModel]) -> list[tuple[str, dict[str, Any]]]:
    schema = model.model_json_schema()
    assert schema["additionalProperties"] is False
    return list(schema["properties"].items())


@pytest.mark.parametrize(
    ("values", "place", "reason"),
    [
        ({"when": "changes"}, "publish.when", "must be 'every', 'change' or 'interval'"),
        ({"heartbeat": 5}, "publish.heartbeat", "did you mean 'heartbeat_s'?"),
        ({"heartbeat_s": -1}, "publish.heartbeat_s", "greater than or equal to 0, got -1"),
        ({"heartbeat_s": float("nan")}, "publish.heartbeat_s", "finite"),
        ({"interval_s": 0}, "publish.interval_s", "greater than 0"),
        ({"heartbeat_s": 0.5}, "publish", "must not be shorter than min_interval_s (1 s)"),
        ({"box_iou": 1}, "publish.box_iou", "less than 1"),
        ({"output": "a.b"}, "publish.output", "pattern"),
        ({"deadband": {"speed": -1}}, "publish.deadband.speed", "greater than or equal"),
        ({"delivery": {"queue": 0}}, "publish.delivery.queue", "greater than or equal to 1"),
        ({"delivery": {"retries": 3}}, "publish.delivery.retries", "no such setting"),
        ([1], "publish", "valid dictionary"),
    ],
)
def test_a_mistake_is_named_with_its_place(values: Any, place: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        validated(PublishSettings, values, "publish")
    assert caught.value.path == place
    assert reason in caught.value.message


def test_a_short_heartbeat_is_fine_where_no_interval_limits_it() -> None:
    assert PublishSettings(when="every", heartbeat_s=0.5).heartbeat_s == 0.5
    assert PublishSettings(heartbeat_s=0).heartbeat_s == 0


@pytest.mark.parametrize(
    ("value", "settings", "kind"),
    [
        ("console", ConsoleSettings(), ConsoleUpstream),
        ("console:json", ConsoleSettings(format="json"), ConsoleUpstream),
        ("jsonl:out/r.jsonl", JsonlSettings(path="out/r.jsonl"), JsonlUpstream),
        ("jsonl:C:/r.jsonl", JsonlSettings(path="C:/r.jsonl"), JsonlUpstream),
        (
            {"type": "jsonl", "path": "r.jsonl", "keep": 0, "fsync": True},
            JsonlSettings(path="r.jsonl", keep=0, fsync=True),
            JsonlUpstream,
        ),
        (JsonlSettings(path="r.jsonl"), JsonlSettings(path="r.jsonl"), JsonlUpstream),
    ],
)
def test_an_upstream_is_made_of_its_settings(value: Any, settings: Any, kind: type) -> None:
    if not isinstance(value, UpstreamSettings):
        assert read_upstream(value) == settings
    assert type(open_upstream(value)) is kind


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("consol", "upstream: there is no upstream 'consol', did you mean 'console'?"),
        ("mqtt", "upstream: there is no upstream 'mqtt'; there are console, jsonl"),
        ({"type": "kafka"}, "there is no upstream 'kafka'"),
        ({"type": 3}, "there is no upstream 3"),
        ({"path": "a"}, "needs a type: console, jsonl"),
        ("jsonl", "upstream.path: is missing"),
        ("jsonl:", "upstream.path: String should have at least 1 character, got ''"),
        ({"type": "jsonl", "path": "a", "max_byte": 1}, "did you mean 'max_bytes'?"),
        ({"type": "jsonl", "path": "a", "max_bytes": 10}, "upstream.max_bytes:"),
        ("console:xml", "must be 'auto', 'text' or 'json', got 'xml'"),
        (3, "must be the name of an upstream or a mapping, got 3"),
    ],
)
def test_a_wrong_upstream_is_refused(value: Any, reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_upstream(value)
    assert reason in str(caught.value)


class OtherSettings(UpstreamSettings):
    type: str = "other"


def test_others_can_register(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgevision.upstream.registry._kinds", dict(upstream_kinds()))
    made = ConsoleUpstream(ConsoleSettings())
    kind = UpstreamKind(OtherSettings, lambda settings: made)
    register_upstream("other", kind)
    register_upstream("other", kind)  # importing twice is no mistake
    assert open_upstream("other") is made
    with pytest.raises(ConfigurationError, match="other takes no argument, got 'other:x'"):
        read_upstream("other:x")
    with pytest.raises(ValueError, match="there is an upstream 'console' already"):
        register_upstream("console", kind)


def test_messages_need_neither_pydantic_nor_rich() -> None:
    code = (
        "import sys, edgevision.upstream.publisher, edgevision.upstream.message,"
        " edgevision.upstream.console, edgevision.upstream.jsonl;"
        "print([name for name in ('pydantic', 'rich', 'aiohttp') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
