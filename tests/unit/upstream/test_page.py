"""docs/messages.md says what the code does."""

from __future__ import annotations

import json
import re

import yaml

from edgevision.json_value import MAX_ARRAY_ITEMS
from edgevision.upstream.message import json_schema
from edgevision.upstream.settings import PublishSettings, validated
from tests.unit.upstream.helpers import VALIDATOR
from tests.unit.upstream.page import PAGE, PARTS, filled

TEXT = PAGE.read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def test_the_generated_parts_are_up_to_date() -> None:
    assert filled(TEXT) == TEXT, "run: python -m tests.unit.upstream.page"


def test_every_part_is_on_the_page() -> None:
    assert set(re.findall(r"<!-- begin ([\w-]+) -->", TEXT)) == set(PARTS)


def test_the_examples_are_valid_and_show_every_kind() -> None:
    documents = [json.loads(text) for text in blocks("json")]
    # A batch is shown by the beginnings of its documents.
    documents = [document for document in documents if not isinstance(document, list)]
    for document in documents:
        VALIDATOR.validate(document)
    assert {document["kind"] for document in documents} == set(
        json_schema()["properties"]["kind"]["enum"]
    )


def test_the_settings_shown_are_accepted() -> None:
    [text] = blocks("yaml")
    settings = validated(PublishSettings, yaml.safe_load(text)["publish"], "publish")
    assert settings.deadband == {"speed_kmh": 5}


def test_every_field_of_the_schema_is_explained() -> None:
    def check(name: str, rule: object) -> None:
        if isinstance(rule, dict):
            for field, inner in rule.get("properties", {}).items():
                target = inner.get("$ref", "").rpartition("/")[2]
                described = inner.get("description") or json_schema()["$defs"].get(target, {}).get(
                    "description"
                )
                overrides = field == "kind" or (name == "latency_ms" and field in ("mean", "max"))
                assert described or overrides, f"{name}.{field}"
                check(field, inner)

    for name, rule in json_schema()["$defs"].items():
        check(name, rule)


def test_limits_on_the_page_are_those_of_the_code() -> None:
    assert f"up to {MAX_ARRAY_ITEMS:,} elements" in TEXT
