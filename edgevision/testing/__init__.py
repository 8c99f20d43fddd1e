"""What the tests of your own stages, sources and upstreams need.

- `check_stage`: one line that checks a stage against all rules that stages obey.
- `frames`, `black`, `white`, `noise`, `gray`: small pictures with known content.
- `ScriptedSource`: a camera that does what a test says; its steps are in
  `edgevision.testing.scripted`.
- `MjpegCamera`, `RtspCamera`: real network cameras on 127.0.0.1.
- `CollectingUpstream`: takes messages, and fails when a test says so.
- `MemoryHub`: a hub and its transport in memory, for what sends messages.
- `HubStandIn`, `WorkloadStandIn`: edgeHub and the workload API on this machine, for a module with
  the real SDK (`edgevision.testing.hub`; needs the extra ``testing``).

A name is imported when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgevision.testing.cameras import MjpegCamera as MjpegCamera
    from edgevision.testing.cameras import RtspCamera as RtspCamera
    from edgevision.testing.collecting import CollectingUpstream as CollectingUpstream
    from edgevision.testing.conformance import StageCheckError as StageCheckError
    from edgevision.testing.conformance import check_stage as check_stage
    from edgevision.testing.hub import HubStandIn as HubStandIn
    from edgevision.testing.hub import WorkloadStandIn as WorkloadStandIn
    from edgevision.testing.memory_hub import MemoryHub as MemoryHub
    from edgevision.testing.scripted import ScriptedSource as ScriptedSource
    from edgevision.testing.shapes import black as black
    from edgevision.testing.shapes import frames as frames
    from edgevision.testing.shapes import gray as gray
    from edgevision.testing.shapes import noise as noise
    from edgevision.testing.shapes import white as white

__all__ = [
    "CollectingUpstream",
    "HubStandIn",
    "MemoryHub",
    "MjpegCamera",
    "RtspCamera",
    "ScriptedSource",
    "StageCheckError",
    "WorkloadStandIn",
    "black",
    "check_stage",
    "frames",
    "gray",
    "noise",
    "white",
]

_HOMES = {
    "CollectingUpstream": "collecting",
    "HubStandIn": "hub",
    "MemoryHub": "memory_hub",
    "MjpegCamera": "cameras",
    "RtspCamera": "cameras",
    "ScriptedSource": "scripted",
    "StageCheckError": "conformance",
    "WorkloadStandIn": "hub",
    "black": "shapes",
    "check_stage": "conformance",
    "frames": "shapes",
    "gray": "shapes",
    "noise": "shapes",
    "white": "shapes",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
