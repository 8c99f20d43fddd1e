"""What pipeline.yaml may say under ``publish`` and ``upstream``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from edgevision.errors import ConfigurationError
from edgevision.suggestion import did_you_mean

__all__ = [
    "ArtifactSettings",
    "ConsoleSettings",
    "DeliverySettings",
    "IotEdgeSettings",
    "JsonlSettings",
    "OutboxSettings",
    "PublishSettings",
    "UpstreamSettings",
    "validated",
]

Seconds = Annotated[float, Field(ge=0, le=30 * 86400, allow_inf_nan=False)]
SomeSeconds = Annotated[float, Field(gt=0, le=30 * 86400, allow_inf_nan=False)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class DeliverySettings(_Settings):
    """How hard the publisher tries to hand messages to each upstream."""

    queue: int = Field(default=256, ge=1, le=100_000, json_schema_extra={"unit": "messages"})
    """Messages that wait for each upstream before the pipeline waits for it."""

    attempt_timeout_s: SomeSeconds = Field(default=30.0, json_schema_extra={"unit": "s"})
    """How long one attempt to hand a message over may take."""

    give_up_after_s: Seconds = Field(default=30.0, json_schema_extra={"unit": "s"})
    """How long a message is tried again before it counts as lost, and how long an upstream that
    takes nothing may hold the pipeline up before new messages to it are lost at once."""

    first_retry_s: SomeSeconds = Field(default=0.1, json_schema_extra={"unit": "s"})
    """Wait before the first new attempt; it doubles from one to the next."""

    longest_retry_s: SomeSeconds = Field(default=5.0, json_schema_extra={"unit": "s"})
    """Longest wait between two attempts."""


class PublishSettings(_Settings):
    """When a camera's results become messages. Events of the stages always go out."""

    when: Literal["every", "change", "interval"] = "change"
    """`every`: each frame. `change`: when something came, went or changed. `interval`: a summary
    every `interval_s`."""

    output: str = Field(default="results", pattern="^[A-Za-z0-9_-]{1,64}$")
    """Name of the output that routes refer to; events have outputs of their own."""

    heartbeat_s: Seconds = Field(default=60.0, json_schema_extra={"unit": "s"})
    """With `every` and `change`: a message at least this often, also when no frame comes. 0: none.
    """

    interval_s: SomeSeconds = Field(default=60.0, json_schema_extra={"unit": "s"})
    """With `interval`: the time that one summary covers."""

    min_interval_s: Seconds = Field(default=1.0, json_schema_extra={"unit": "s"})
    """With `change`: shortest time between two messages of a camera. A change that comes sooner is
    sent when the time is over."""

    appear_s: Seconds = Field(default=0.0, json_schema_extra={"unit": "s"})
    """With `change`: how long something must be seen without a gap before it counts as there. 0:
    one frame is enough."""

    hold_s: Seconds = Field(default=1.0, json_schema_extra={"unit": "s"})
    """With `change`: how long something must be missing before it counts as gone. Bridges the
    frames in which a detector misses it. At least `min_interval_s`, and nothing goes untold."""

    box_iou: float = Field(default=0.0, ge=0, lt=1, allow_inf_nan=False)
    """With `change`: a box counts as moved when its overlap (intersection over union) with the one
    last sent falls below this. 0: moving is no change."""

    deadband: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(default={})
    """With `change`, by name of a value: how far a number must move from the one last sent to count
    as changed. Floats without a dead band never count, everything else counts at any difference."""

    ignore: list[str] = Field(default=[])
    """With `change`: names of values and of detection data, or `track_id`, that never count."""

    delivery: DeliverySettings = Field(default=DeliverySettings())
    """Queues, time limits and retries."""

    @model_validator(mode="after")
    def _limits_fit(self) -> PublishSettings:
        if self.when == "change" and 0 < self.heartbeat_s < self.min_interval_s:
            raise ValueError(
                f"heartbeat_s ({self.heartbeat_s:g} s) must not be shorter than min_interval_s "
                f"({self.min_interval_s:g} s)"
            )
        return self


class UpstreamSettings(_Settings):
    """What every upstream has; ``type`` is its name in the registry."""

    type: str
    """Kind of upstream."""


class ConsoleSettings(UpstreamSettings):
    """Messages on standard output."""

    type: Literal["console"] = "console"
    """Kind of upstream."""

    format: Literal["auto", "text", "json"] = "auto"
    """`text`: a line for people. `json`: the message itself, one a line. `auto`: text on a
    terminal, json otherwise."""


class JsonlSettings(UpstreamSettings):
    """Messages in a file, one JSON document a line."""

    type: Literal["jsonl"] = "jsonl"
    """Kind of upstream."""

    path: str = Field(min_length=1)
    """File to append to; its folder is made."""

    max_bytes: int = Field(default=100_000_000, ge=1000, json_schema_extra={"unit": "bytes"})
    """The file is set aside as `path.1` before it grows beyond this."""

    keep: int = Field(default=5, ge=0, le=1000, json_schema_extra={"unit": "files"})
    """How many files are kept beside the current one; older ones are deleted."""

    fsync: bool = False
    """Wait until the disk has each batch, so that a power cut loses nothing. Slow on SD cards."""


class OutboxSettings(_Settings):
    """The file in which messages wait until the hub has acknowledged them."""

    path: str = Field(default="outbox.sqlite", min_length=1)
    """The file; its folder is made. In a container it belongs on a volume, or what waits is gone
    with the container."""

    max_bytes: int = Field(default=2**28, ge=2**22, json_schema_extra={"unit": "bytes"})
    """The most that it may take on the disk."""

    max_age_s: SomeSeconds = Field(default=7 * 86400.0, json_schema_extra={"unit": "s"})
    """Messages that have waited for longer are dropped."""

    when_full: Literal["drop oldest", "drop newest", "block"] = "drop oldest"
    """What happens to a message for which there is no room. `block`: the cameras wait."""

    fsync: bool = True
    """Wait until the disk has each group of messages, so that a power cut loses nothing."""

    batch_messages: int = Field(default=1, ge=1, le=10_000, json_schema_extra={"unit": "messages"})
    """The most messages of a camera that share one message of the hub; 1: each has its own."""

    batch_bytes: int = Field(
        default=65_536, ge=1000, le=250_000, json_schema_extra={"unit": "bytes"}
    )
    """The most bytes of such a batch."""

    batch_linger_s: Seconds = Field(default=1.0, json_schema_extra={"unit": "s"})
    """How long a batch waits for more messages while the connection is free."""

    live_first: bool = False
    """After an outage send new messages beside the backlog, half and half, instead of after it. A
    camera's messages then come in two streams, each in order."""


class ArtifactSettings(_Settings):
    """The folder for pictures and clips that are too large for an answer."""

    path: str = Field(default="artifacts", min_length=1)
    """The folder; it is made."""

    max_bytes: int = Field(default=500_000_000, ge=1_000_000, json_schema_extra={"unit": "bytes"})
    """The most that they may hold together; the oldest are deleted."""


class IotEdgeSettings(UpstreamSettings):
    """IoT Hub through edgeHub: the pipeline runs as an IoT Edge module."""

    type: Literal["iotedge"] = "iotedge"
    """Kind of upstream."""

    outbox: OutboxSettings = Field(default=OutboxSettings())
    """Where messages wait; `iotedge:FILE` gives the file alone."""

    window: int = Field(default=10, ge=1, le=100, json_schema_extra={"unit": "messages"})
    """Messages that may be on their way to the hub at once."""

    artifacts: ArtifactSettings = Field(default=ArtifactSettings())
    """Where large pictures and clips go."""

    record_before_s: float = Field(
        default=0.0, ge=0, le=60, allow_inf_nan=False, json_schema_extra={"unit": "s"}
    )
    """How much of the past a clip can begin with. Above 0, each camera's pictures are encoded all
    the time."""

    report_interval_s: SomeSeconds = Field(default=5.0, json_schema_extra={"unit": "s"})
    """Shortest time between two changes of the reported properties."""

    @field_validator("outbox", mode="before")
    @classmethod
    def _file_alone(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value


def validated(model: type[BaseModel], values: Any, path: str) -> Any:
    """Return ``values`` as a ``model``.

    Raises:
        ConfigurationError: names the place below ``path``, the rule and the value.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join([path, *(str(part) for part in first["loc"])])
        if first["type"] == "extra_forbidden":
            name = str(first["loc"][-1])
            reason = f"there is no such setting{did_you_mean(name, model.model_fields)}"
        elif first["type"] == "missing":
            reason = "is missing"
        else:
            message = first["msg"].removeprefix("Value error, ")
            reason = f"{message.replace('Input should be', 'must be')}, got {first['input']!r}"
            if first["type"] == "value_error":
                reason = message
        raise ConfigurationError(reason, path=place) from error
