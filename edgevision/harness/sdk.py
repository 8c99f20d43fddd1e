"""Which azure-iot-device and paho are installed, and what of them is worked around."""

from __future__ import annotations

import concurrent.futures.thread
import logging
from dataclasses import dataclass
from importlib import metadata

__all__ = ["SdkVersions", "let_exit"]

_log = logging.getLogger(__name__)
_TRIED_WITH = "2.14"
_NOISY = {
    "azure": logging.WARNING,
    "paho": logging.WARNING,
    # It logs each fault that reaches us anyway, over several lines.
    "azure.iot.device.common.handle_exceptions": logging.ERROR,
    # It logs a cancelled reconnect as an error; we never let the SDK reconnect.
    "azure.iot.device.common.pipeline": logging.ERROR,
}


@dataclass(slots=True, frozen=True)
class SdkVersions:
    """The versions found in this environment.

    Attributes:
        sdk: of azure-iot-device.
        paho: of paho-mqtt.
    """

    sdk: str
    paho: str

    @classmethod
    def read(cls) -> SdkVersions:
        """Read the versions of the installed distributions."""
        return cls(metadata.version("azure-iot-device"), metadata.version("paho-mqtt"))

    @property
    def patch(self) -> bool:
        """Whether paho's network thread needs mending (see `edgevision.harness.network_thread`)."""
        return int(self.paho.split(".")[0]) < 2

    def announce(self) -> None:
        """Say once in the log what is used and what is worked around, and quieten both."""
        for name, level in _NOISY.items():
            logging.getLogger(name).setLevel(level)
        around = ["its own reconnects (a new client takes the place of one that lost its hub)"]
        if self.patch:
            around.append("the network thread of paho < 2, which some socket errors end")
        _log.info(
            "azure-iot-device %s on paho-mqtt %s; worked around: %s",
            self.sdk,
            self.paho,
            "; ".join(around),
        )
        if not self.sdk.startswith(_TRIED_WITH + "."):
            _log.warning(
                "edgevision was tried with azure-iot-device %s.x, not with %s",
                _TRIED_WITH,
                self.sdk,
            )


def let_exit() -> None:
    """Let the interpreter end although a thread of the SDK hangs.

    At its end the interpreter waits for the threads of every executor, and those of the SDK never
    end; when one hangs, a module that is to be started anew would stay for ever instead.
    """
    from azure.iot.device.common.pipeline import pipeline_thread
    from azure.iot.device.iothub.aio import loop_management

    executors = list(getattr(pipeline_thread, "_executors", {}).values())
    loops = getattr(loop_management, "loops", {}).values()
    executors += [getattr(loop, "_default_executor", None) for loop in loops]
    waited_for = getattr(concurrent.futures.thread, "_threads_queues", {})
    for executor in executors:
        for thread in getattr(executor, "_threads", ()):
            waited_for.pop(thread, None)
