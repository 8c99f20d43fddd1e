"""Stand-ins of edgeHub and of the workload API, for tests and for ``edgevision simulate``.

::

    with HubStandIn() as hub:
        environment = hub.environment(module="door")  # for the module's process
        ...
        hub.wait_for_messages(3)
        hub.module("door").patch_desired({"stages": {"motion": {"min_area": 500}}})
        hub.restart()

Needs the extra ``testing``.
"""

from __future__ import annotations

from edgevision.testing.hub.faults import EndKind, Faults
from edgevision.testing.hub.hub import DEVICE, HubStandIn
from edgevision.testing.hub.hub_module import HubModule
from edgevision.testing.hub.identity import HUB_NAME, Identities, Identity
from edgevision.testing.hub.message import HubEvent, HubMessage, MethodResult
from edgevision.testing.hub.route import RouteError
from edgevision.testing.hub.twin import TwinError
from edgevision.testing.hub.workload import WorkloadStandIn

__all__ = [
    "DEVICE",
    "HUB_NAME",
    "EndKind",
    "Faults",
    "HubEvent",
    "HubMessage",
    "HubModule",
    "HubStandIn",
    "Identities",
    "Identity",
    "MethodResult",
    "RouteError",
    "TwinError",
    "WorkloadStandIn",
]
