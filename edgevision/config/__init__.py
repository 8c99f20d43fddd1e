"""pipeline.yaml: cameras, stages, where results go; read, checked and described.

::

    config = edgevision.config.load("pipeline.yaml")
    Runner(config.camera_specs(), module=config.module, publish=config.publish,
           upstreams=config.open_upstreams()).run()

- `load`, `parse`, `from_mapping`: a document as a `PipelineConfig`, or one `ConfigurationError`
  with a line for each mistake.
- `load_stage`: the class that a stage's name means.
- `json_schema`: for editors.

Nothing large is loaded before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgevision.config.loading import from_mapping, load, parse
    from edgevision.config.models import (
        CameraConfig,
        PipelineConfig,
        ReconnectConfig,
        SourceConfig,
        StageConfig,
        WebConfig,
    )
    from edgevision.config.override import Override
    from edgevision.config.schema import json_schema
    from edgevision.config.stage_reference import load_stage

__all__ = [
    "CameraConfig",
    "Override",
    "PipelineConfig",
    "ReconnectConfig",
    "SourceConfig",
    "StageConfig",
    "WebConfig",
    "from_mapping",
    "json_schema",
    "load",
    "load_stage",
    "parse",
]

_MODULES = {
    "Override": "override",
    "from_mapping": "loading",
    "json_schema": "schema",
    "load": "loading",
    "load_stage": "stage_reference",
    "parse": "loading",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_MODULES.get(name, 'models')}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
