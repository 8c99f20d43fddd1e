"""The JSON Schema accepts what the loader accepts, and refuses what a schema can."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from edgevision import stages
from edgevision.config import json_schema, load, parse
from edgevision.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[3]
CAMERA = 'cameras: {cam: "webcam:0"}\n'

VALID = [
    CAMERA,
    "cameras: {cam: {source: 'webcam:0'}}",
    "cameras: {cam: {source: {uri: 'webcam:0', width: 1280, height: 720}}}",
    "version: 1\nmodule: a b\n" + CAMERA,
    "cameras: {cam: {source: 'webcam:0', policy: wait, max_age_ms: 5, queue_size: 1}}",
    "cameras: {cam: {source: 'webcam:0', max_age_ms: null, stages: null}}",
    "cameras: {cam: {source: 'webcam:0', reconnect: {first_s: 1}, stages: [edges]}}",
    CAMERA + "stages: [edges]",
    CAMERA + "stages:\n- edges:\n",
    CAMERA + "stages:\n- resize: {width: 320}\n",
    CAMERA + "stages:\n- {use: resize, name: small, params: {width: 320}}",
    CAMERA + "stages:\n- {use: edges, on_error: retry, max_consecutive_errors: 3}",
    CAMERA + "publish: {when: every, delivery: {queue: 3}}",
    CAMERA + "upstream: []",
    CAMERA + "upstream: [console, 'console:json', {console: }, {console: {format: json}}]",
    CAMERA + "upstream: ['jsonl:a.jsonl', {jsonl: {path: a}}, {type: jsonl, path: a, keep: 1}]",
    CAMERA + "web: false",
    CAMERA + "web: {host: 0.0.0.0, port: 0}",
    CAMERA + "web: {port: '${EV_TEST_PORT:-81}'}\npoison: ${EV_TEST_POISON:-true}",
    CAMERA + "publish: {when: '${EV_TEST_WHEN:-every}'}",
    "x-base: &base {width: 320}\n" + CAMERA + "stages:\n- resize: *base\n",
]

INVALID = [
    "[]",
    "{}",
    "cameras: {}",
    "cameras: {a b: 'webcam:0'}",
    "cameras: {cam: 0}",
    "cameras: {cam: {}}",
    "cameras: {cam: {source: 'webcam:0', polcy: wait}}",
    "cameras: {cam: {source: 'webcam:0', policy: lastest}}",
    "cameras: {cam: {source: 'webcam:0', queue_size: 0}}",
    "cameras: {cam: {source: 'webcam:0', queue_size: '2'}}",
    "camera: 'webcam:0'",
    CAMERA + "version: 2",
    CAMERA + "stages: edges",
    CAMERA + "stages: [egdes]",
    CAMERA + "stages:\n- egdes: {}",
    CAMERA + "stages:\n- resize: {widht: 3}",
    CAMERA + "stages:\n- resize: {width: x}",
    CAMERA + "stages:\n- {use: resize, params: {widht: 3}}",
    CAMERA + "stages:\n- {use: egdes}",
    CAMERA + "stages:\n- {edges: {}, resize: {}}",
    CAMERA + "stages:\n- {use: edges, on_error: ignore}",
    CAMERA + "publish: {when: sometimes}",
    CAMERA + "publish: {heartbeat_s: -1}",
    CAMERA + "upstream: console",
    CAMERA + "upstream: [consol]",
    CAMERA + "upstream: [{jsonl: {}}]",
    CAMERA + "upstream: [jsonl: {path: a, kep: 3}]",
    CAMERA + "web: true",
    CAMERA + "web: {port: 70000}",
    CAMERA + "poison: 'yes'",
    CAMERA + "unknown: 1",
]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    found = json_schema()
    Draft202012Validator.check_schema(found)
    return found


@pytest.fixture(scope="module")
def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(schema)


@pytest.mark.parametrize("text", VALID)
def test_what_the_loader_takes_the_schema_takes(validator: Draft202012Validator, text: str) -> None:
    parse(text)
    assert [error.message for error in validator.iter_errors(yaml.safe_load(text))] == []


@pytest.mark.parametrize("text", INVALID)
def test_what_the_schema_refuses_the_loader_refuses(
    validator: Draft202012Validator, text: str
) -> None:
    assert not validator.is_valid(yaml.safe_load(text))
    with pytest.raises(ConfigurationError):
        parse(text)


def test_every_built_in_stage_is_completed(schema: dict[str, Any]) -> None:
    for name in stages.BUILT_IN:
        described = schema["$defs"][f"stage.{name}"]
        assert described["description"]
        params = stages.load(name).parameters()
        assert list(described["properties"]) == list(params)
        for param in params:
            assert described["properties"][param]["description"], f"{name}.{param} has no help"


def test_stages_of_ones_own_are_accepted(validator: Draft202012Validator) -> None:
    own = ["./stages.py:A", {"package.module:B": {"anything": 1}}, {"use": "../x.py:C"}]
    document = {"cameras": {"cam": "webcam:0"}, "stages": own}
    assert [error.message for error in validator.iter_errors(document)] == []


def test_every_property_is_described(schema: dict[str, Any]) -> None:
    def check(part: Any, path: str) -> None:
        if isinstance(part, list):
            for i, item in enumerate(part):
                check(item, f"{path}[{i}]")
        elif isinstance(part, dict):
            for name, described in part.get("properties", {}).items():
                if path.endswith("if"):
                    continue
                reference = "$ref" in described
                assert reference or described.get("description"), f"{path}.{name}"
            for name, item in part.items():
                check(item, f"{path}.{name}")

    check(schema, "")


def _documents() -> list[Path]:
    samples = sorted((ROOT / "samples").glob("*/*.yaml"))
    return [*samples, *sorted((ROOT / "module").glob("pipeline*.yaml"))]


@pytest.mark.parametrize("path", _documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_pipeline_of_the_project(validator: Draft202012Validator, path: Path) -> None:
    load(path)
    document = yaml.safe_load(path.read_text())
    assert [error.message for error in validator.iter_errors(document)] == []


def test_every_pipeline_of_the_documentation(validator: Draft202012Validator) -> None:
    page = (ROOT / "docs" / "pipeline-yaml.md").read_text()
    blocks = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    assert len(blocks) >= 3
    for document in blocks:
        assert [error.message for error in validator.iter_errors(document)] == []
