"""The tables of docs/pipeline-yaml.md and docs/manifest.md, made from the models.

``python -m tests.docs.settings_tables`` writes them into the pages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from edgevision.config.models import (
    CameraConfig,
    PipelineConfig,
    ReconnectConfig,
    SourceConfig,
    StageConfig,
    WebConfig,
)
from edgevision.config.wording import follow, shown, wanted
from edgevision.deploy.manifest.settings import (
    Collector,
    DeploymentSettings,
    Registry,
    RouteSettings,
    RuntimeImages,
)
from edgevision.upstream.registry import upstream_kinds
from edgevision.upstream.settings import (
    ArtifactSettings,
    DeliverySettings,
    OutboxSettings,
    PublishSettings,
)

_DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = (_DOCS / "pipeline-yaml.md", _DOCS / "manifest.md")

_MARKED = re.compile(r"(?P<begin><!-- settings: (?P<name>\S+) -->\n).*?(?=<!-- end -->)", re.DOTALL)


def tables() -> dict[str, str]:
    """Return each table by the name that its place in the page has."""
    models: dict[str, type[BaseModel]] = {
        "pipeline": PipelineConfig,
        "camera": CameraConfig,
        "source": SourceConfig,
        "reconnect": ReconnectConfig,
        "stage": StageConfig,
        "publish": PublishSettings,
        "publish.delivery": DeliverySettings,
        **{f"upstream.{name}": kind.settings for name, kind in upstream_kinds().items()},
        "upstream.iotedge.outbox": OutboxSettings,
        "upstream.iotedge.artifacts": ArtifactSettings,
        "web": WebConfig,
        "deployment": DeploymentSettings,
        "deployment.route": RouteSettings,
        "deployment.registry": Registry,
        "deployment.runtime": RuntimeImages,
        "deployment.collector": Collector,
    }
    return {name: _table(model.model_json_schema()) for name, model in models.items()}


def with_tables(page: str) -> str:
    """Return the text of a page with its tables as they should be."""
    known = tables()
    return _MARKED.sub(lambda match: match["begin"] + known[match["name"]], page)


def names_in(page: str) -> list[str]:
    """Return the names of the tables that a page has."""
    return [match["name"] for match in _MARKED.finditer(page)]


def _table(schema: Mapping[str, Any]) -> str:
    rows = ["| key | value | default | |", "| --- | --- | --- | --- |"]
    required = schema.get("required", [])
    for name in schema["properties"]:
        if name == "type":
            continue
        part = follow(schema, (name,))
        default = "required" if name in required else _default(part)
        about = " ".join(part.get("description", "").split())
        rows.append(f"| `{name}` | {_cell(wanted(part))} | {default} | {_cell(about)} |")
    return "\n".join(rows) + "\n"


def _default(part: Mapping[str, Any]) -> str:
    value = part.get("default")
    if value is None or value == "" or isinstance(value, (dict, list)):
        return ""
    return f"`{_yaml(value)}`"


def _yaml(value: Any) -> str:
    if isinstance(value, float) and value == int(value):
        value = int(value)
    return value if isinstance(value, str) else shown(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")
