"""What can be made to go wrong in a simulation, by the names that ``edgevision fault`` takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgevision.errors import ConfigurationError
from edgevision.suggestion import did_you_mean

if TYPE_CHECKING:
    from edgevision.testing.hub import HubStandIn

__all__ = ["FAULTS", "Fault", "apply"]

_OK = 200


@dataclass(frozen=True)
class Fault:
    """One of them.

    Attributes:
        help: what it does.
        act: does it, with the value.
        value: what the value is; "" if there is none.
        default: the value if none is given; None if one must be.
    """

    help: str
    act: Callable[[HubStandIn, float], None]
    value: str = ""
    default: float | None = 0.0


def _set(name: str) -> Callable[[HubStandIn, float], None]:
    return lambda hub, value: setattr(hub.faults, name, value)


def _whole(name: str) -> Callable[[HubStandIn, float], None]:
    return lambda hub, value: setattr(hub.faults, name, int(value))


def _twin(hub: HubStandIn, status: float) -> None:
    hub.faults.twin = int(status) if status else "silent"


def _sign(hub: HubStandIn, status: float) -> None:
    hub.workload.sign_status = int(status)


def _clock(hub: HubStandIn, offset_s: float) -> None:
    hub.clock_offset_s = offset_s


def _none(hub: HubStandIn, _: float) -> None:
    from edgevision.testing.hub import Faults

    for name, value in vars(Faults()).items():
        setattr(hub.faults, name, value)
    hub.clock_offset_s = 0.0
    _sign(hub, _OK)
    hub.resume()
    hub.come_up()


FAULTS: Mapping[str, Fault] = {
    "restart": Fault("The hub is killed and started again at once.", lambda hub, _: hub.restart()),
    "down": Fault("The hub is killed.", lambda hub, _: hub.go_down()),
    "up": Fault("The hub is started again.", lambda hub, _: hub.come_up()),
    "reset": Fault("Connections are reset.", lambda hub, _: _end(hub)),
    "pause": Fault("The hub reads and answers nothing.", lambda hub, _: hub.pause()),
    "resume": Fault("The end of a pause.", lambda hub, _: hub.resume()),
    "lose-sessions": Fault(
        "The hub forgets subscriptions, as one whose storage is not mounted does when it restarts.",
        lambda hub, _: hub.restart(lose_sessions=True),
    ),
    "refuse": Fault(
        "Connections are refused; 0 ends it.", _whole("refuse_connect"), "CONNACK code", 5.0
    ),
    "lose-pubacks": Fault(
        "So many messages are stored and not acknowledged.", _set("lose_pubacks"), "count", math.inf
    ),
    "delay": Fault(
        "So long passes before each packet is handled.", _set("delay_s"), "seconds", None
    ),
    "twin": Fault(
        "Requests about the twin get this status; 0: no answer.", _twin, "HTTP status", 429.0
    ),
    "sign": Fault("The workload API does not sign.", _sign, "HTTP status", 500.0),
    "clock": Fault(
        "The hub's clock is ahead, so that tokens have expired.", _clock, "seconds", 7200.0
    ),
    "none": Fault("Everything works again.", _none),
}
"""The faults by name."""


def _end(hub: HubStandIn) -> None:
    hub.end_connections()


def apply(hub: HubStandIn, name: Any, value: Any) -> str:
    """Make something go wrong and return what that is.

    Raises:
        ConfigurationError: there is no such fault, or the value makes no sense.
    """
    fault = FAULTS.get(name)
    if fault is None:
        hint = did_you_mean(str(name), FAULTS) or f"; there are {', '.join(FAULTS)}"
        raise ConfigurationError(f"there is no fault {name!r}{hint}")
    if value is not None and not fault.value:
        raise ConfigurationError(f"{name} takes no value, got {value!r}")
    if value is None:
        value = fault.default
    if value is None or isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise ConfigurationError(f"{name} wants {fault.value}, a number from 0, got {value!r}")
    fault.act(hub, float(value))
    return fault.help
