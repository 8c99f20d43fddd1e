"""Who this module is and where its hub is: the environment that IoT Edge gives to a module."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgevision.errors import ConfigurationError
from edgevision.redaction import hide

__all__ = ["CA_FILE", "CONNECTION_STRING", "VARIABLES", "EdgeEnvironment"]

VARIABLES: Mapping[str, str] = {
    "IOTEDGE_IOTHUBHOSTNAME": "hub",
    "IOTEDGE_DEVICEID": "device",
    "IOTEDGE_MODULEID": "module",
    "IOTEDGE_GATEWAYHOSTNAME": "gateway",
    "IOTEDGE_MODULEGENERATIONID": "generation_id",
    "IOTEDGE_WORKLOADURI": "workload_uri",
    "IOTEDGE_APIVERSION": "api_version",
}
"""The variables that edgeAgent sets for every module, and the fields that they fill."""

CONNECTION_STRING = "EdgeHubConnectionString"
"""The variable that takes the place of `VARIABLES` while a module is tried outside IoT Edge."""

CA_FILE = "EdgeModuleCACertificateFile"
"""The variable with the path of the hub's CA certificate; belongs to `CONNECTION_STRING`."""

_KEYS = {
    "HostName": "hub",
    "GatewayHostName": "gateway",
    "DeviceId": "device",
    "ModuleId": "module",
    "SharedAccessKey": "shared_access_key",
}
# IoT Hub allows + and # as well, of which no MQTT topic can be made.
_NAME = re.compile(r"[A-Za-z0-9\-:.%_*?!(),=@$']{1,128}")


@dataclass(slots=True, frozen=True)
class EdgeEnvironment:
    """Identity of this module, address of its hub, and where its credentials come from.

    Either the workload API (`workload_uri`, `generation_id`, `api_version`) or a key of its own
    (`shared_access_key`, `ca_file`) is given.

    Attributes:
        hub: host name of the IoT Hub; part of the identity, never connected to.
        device: id of the device.
        module: id of the module.
        gateway: host name of the edgeHub to connect to.
        generation_id: tells this module from a former one of the same name.
        workload_uri: ``unix:///path`` or ``http://host:port`` of the workload API.
        api_version: version of the workload API.
        shared_access_key: base64; not shown by ``repr``.
        ca_file: path of a PEM file with the CA that signed the hub's certificate.
    """

    hub: str
    device: str
    module: str
    gateway: str
    generation_id: str = ""
    workload_uri: str = ""
    api_version: str = ""
    shared_access_key: str = field(default="", repr=False)
    ca_file: str = ""

    @classmethod
    def read(cls, variables: Mapping[str, str] | None = None) -> EdgeEnvironment:
        """Read the environment variables of this process, or ``variables``.

        Raises:
            ConfigurationError: a variable is missing or cannot be what it is; each is named.
        """
        values = os.environ if variables is None else variables
        missing = [name for name in VARIABLES if not values.get(name)]
        if not missing:
            environment = cls(**{key: values[name] for name, key in VARIABLES.items()})
        elif values.get(CONNECTION_STRING) or values.get(CA_FILE):
            environment = _from_connection_string(cls, values)
        else:
            raise ConfigurationError(_missing_text(missing))
        environment._check()
        return environment

    @property
    def resource(self) -> str:
        """What a token gives access to, as the hub writes it."""
        return f"{self.hub}/devices/{self.device}/modules/{self.module}"

    def _check(self) -> None:
        for what, name in (("device", self.device), ("module", self.module)):
            if not _NAME.fullmatch(name):
                raise ConfigurationError(
                    f"the {what} id is up to 128 letters, digits and -:.%_*?!(),=@$', not {name!r}"
                )
        if self.workload_uri and not re.match(r"(unix:///|http://)\S", self.workload_uri):
            raise ConfigurationError(
                "IOTEDGE_WORKLOADURI is unix:///path/of/a.sock or http://host:port, "
                f"not {self.workload_uri!r}"
            )
        if self.ca_file and not Path(self.ca_file).is_file():
            raise ConfigurationError(f"{CA_FILE} names no file: {self.ca_file}")


def _missing_text(missing: list[str]) -> str:
    if len(missing) == len(VARIABLES):
        return (
            "this process has no IoT Edge environment: none of " + ", ".join(VARIABLES) + " is "
            f"set. edgeAgent sets them in a module's container. Outside of one, set "
            f"{CONNECTION_STRING} and {CA_FILE}, or try the module with `edgevision simulate`"
        )
    return (
        "the IoT Edge environment is incomplete: "
        + ", ".join(missing)
        + " "
        + ("is" if len(missing) == 1 else "are")
        + " not set, the others are. edgeAgent sets all of them; look at what overrides the "
        "environment in the module's createOptions or start script"
    )


def _from_connection_string(
    cls: type[EdgeEnvironment], values: Mapping[str, str]
) -> EdgeEnvironment:
    for name, other in ((CONNECTION_STRING, CA_FILE), (CA_FILE, CONNECTION_STRING)):
        if not values.get(name):
            raise ConfigurationError(f"{other} is set, but {name} is not; they go together")
    found = {}
    parts = values[CONNECTION_STRING].strip().rstrip(";").split(";")
    for number, part in enumerate(parts, 1):
        key, equals, value = part.partition("=")
        if not equals or key not in _KEYS:
            # The part is not shown: it may be a secret in the wrong place.
            raise ConfigurationError(
                f"{CONNECTION_STRING} consists of {', '.join(_KEYS)} as name=value with ';' "
                f"between; its part {number} is none of them"
            )
        found[_KEYS[key]] = value
    absent = [key for key, name in _KEYS.items() if not found.get(name)]
    if absent:
        raise ConfigurationError(f"{CONNECTION_STRING} lacks {', '.join(absent)}")
    hide(found["shared_access_key"])
    return cls(**found, ca_file=values[CA_FILE])
