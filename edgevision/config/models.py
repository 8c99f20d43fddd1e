"""What a pipeline.yaml may say, as types."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SerializeAsAny, model_validator

from edgevision.pipeline import OnError, StageSpec
from edgevision.redaction import redact
from edgevision.upstream.settings import ConsoleSettings, PublishSettings, UpstreamSettings

if TYPE_CHECKING:
    from edgevision.runner.spec import CameraSpec
    from edgevision.sources.source import Source
    from edgevision.stage import Stage
    from edgevision.upstream.upstream import Upstream

__all__ = [
    "NAME_PATTERN",
    "CameraConfig",
    "ConfigModel",
    "PipelineConfig",
    "ReconnectConfig",
    "SourceConfig",
    "StageConfig",
    "WebConfig",
]

NAME_PATTERN = "^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$"
"""Names of cameras and stages: they become keys of the module twin, labels and parts of URLs."""

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
_LONGEST_S = 86400.0
_DEVICE = "^(auto|cpu|cuda(:[0-9]{1,3})?)$"


def _in(unit: str) -> dict[str, Any]:
    return {"unit": unit}


class ConfigModel(BaseModel):
    """Read-only settings whose ``repr`` shows what the file says, not what was substituted."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    _shown: Any = PrivateAttr(None)

    def __repr__(self) -> str:
        shown = self.model_dump() if self._shown is None else self._shown
        return redact(f"{type(self).__name__}({shown!r})")

    __str__ = __repr__


class SourceConfig(ConfigModel):
    """Where a camera's frames come from."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, str | int | float | bool | list[int]]

    uri: str = Field(min_length=1)
    """Address: `webcam:0`, `/dev/video0`, `clip.mp4`, `folder/*.png`, `rtsp://...`, `http://...`,
    `gstreamer:...`, `csi:0`, `synthetic:`, `replay:folder`. A relative path is relative to the
    file. Beside it stand the options of that kind of source, such as `width: 1280`."""

    @property
    def options(self) -> dict[str, Any]:
        """The source's own options."""
        return dict(self.__pydantic_extra__ or {})


class ReconnectConfig(ConfigModel):
    """How a camera that went away is opened again."""

    first_s: float = Field(default=0.2, gt=0, le=_LONGEST_S, json_schema_extra=_in("s"))
    """Wait before the first new attempt; it doubles from one to the next, with jitter."""

    longest_s: float = Field(default=5.0, gt=0, le=_LONGEST_S, json_schema_extra=_in("s"))
    """Longest wait between two attempts."""

    @model_validator(mode="after")
    def _in_order(self) -> ReconnectConfig:
        if self.first_s > self.longest_s:
            raise ValueError(
                f"first_s ({self.first_s:g} s) must not be longer than longest_s "
                f"({self.longest_s:g} s)"
            )
        return self


class StageConfig(ConfigModel):
    """One stage of a pipeline."""

    use: str = Field(min_length=1)
    """Built-in name (`motion`), `package.module:Class`, or `./stages.py:Class` relative to this
    file."""

    name: Name | None = None
    """What the stage is called in messages, statistics and the module twin; default the built-in
    name or the class name in lower case."""

    on_error: OnError = "drop"
    """What happens when the stage raises. `drop`: the frame is lost. `retry`: once more on the same
    frame. `quarantine`: after `max_consecutive_errors`, frames pass the stage by. `restart`: the
    camera's stages start again at once."""

    max_consecutive_errors: int = Field(
        default=10, ge=1, le=1_000_000, json_schema_extra=_in("frames")
    )
    """Errors in a row after which `quarantine` sets in, or, with `drop` and `retry`, the camera's
    stages start again."""

    params: dict[str, Any] = Field(default={})
    """The stage's parameters by name; `edgevision stages NAME` lists them."""

    _stage: type[Stage] | None = PrivateAttr(None)
    _values: dict[str, Any] = PrivateAttr({})
    _default_name: str = PrivateAttr("")

    @property
    def stage(self) -> type[Stage]:
        """The stage's class."""
        if self._stage is None:
            raise TypeError("a StageConfig gets its class from edgevision.config.load or parse")
        return self._stage

    @property
    def values(self) -> dict[str, Any]:
        """The parameters that are given, as their declared types."""
        return dict(self._values)

    def create(self) -> Stage:
        """Return a new instance of the stage with its parameters."""
        return self.stage(**self._values)

    def spec(self) -> StageSpec:
        """Return what a `Pipeline` makes the stage from."""
        return StageSpec(
            self.create,
            name=self.name or self._default_name,
            on_error=self.on_error,
            max_consecutive_errors=self.max_consecutive_errors,
        )


class CameraConfig(ConfigModel):
    """One camera: a source, and what is done with its frames."""

    source: SourceConfig
    """Where the frames come from: an address, or a mapping with `uri` and options."""

    policy: Literal["latest", "wait"] | None = None
    """What happens when frames come faster than they are processed. `latest`: the oldest waiting
    frame is dropped. `wait`: the source is held back and nothing is lost. Default: `latest` for a
    camera, `wait` for a file."""

    max_age_ms: float | None = Field(
        default=None, gt=0, le=_LONGEST_S * 1e3, json_schema_extra=_in("ms")
    )
    """Frames older than this when their turn comes are dropped as stale. Default: no bound."""

    queue_size: int | None = Field(default=None, ge=1, le=64, json_schema_extra=_in("frames"))
    """Frames that may wait for the stages. Default: 4 under `latest`, 8 under `wait`."""

    stall_s: float = Field(default=2.0, gt=0, le=_LONGEST_S, json_schema_extra=_in("s"))
    """A camera that delivers nothing for so long counts as stalled."""

    stage_timeout_s: float = Field(default=10.0, gt=0, le=_LONGEST_S, json_schema_extra=_in("s"))
    """A stage that runs longer is reported by name as stuck."""

    device: str | None = Field(default=None, pattern=_DEVICE)
    """Where this camera's pictures are processed, instead of where those of all cameras are."""

    max_copies: int | None = Field(default=None, ge=0, le=1000, json_schema_extra=_in("copies"))
    """Copies between host and CUDA device that the stages may make of one frame. The stage that
    makes one more fails. Default: no bound."""

    reconnect: ReconnectConfig = Field(default=ReconnectConfig())
    """How a camera that went away is opened again."""

    stages: list[StageConfig] | None = None
    """Stages of this camera, instead of the common ones."""

    _open: Any = PrivateAttr(None)

    def open_source(self) -> Source:
        """Return a new source; the device is opened by its `open`."""
        source: Source = self._open()
        return source


class WebConfig(ConfigModel):
    """The preview page, health and metrics."""

    host: str = Field(default="127.0.0.1", min_length=1)
    """Address to listen on. `127.0.0.1`: this machine only. `0.0.0.0`: everyone who reaches this
    machine sees the pictures, without a password."""

    port: int = Field(default=8080, ge=0, le=65535)
    """TCP port; 0 takes a free one."""


class PipelineConfig(ConfigModel):
    """A pipeline.yaml: cameras, the stages their frames go through, and where results go."""

    version: Literal[1] = 1
    """Version of this format."""

    module: str = Field(default="", max_length=128)
    """Name of the module in messages; default the name of the file's folder."""

    cameras: dict[Name, CameraConfig] = Field(min_length=1)
    """Cameras by name (letters, digits, `-` and `_`); an address alone is a camera, too."""

    stages: list[StageConfig] = Field(default=[])
    """Stages of every camera that has none of its own, in order."""

    publish: PublishSettings = Field(default=PublishSettings())
    """When results become messages."""

    upstream: list[SerializeAsAny[UpstreamSettings]] = Field(default=[ConsoleSettings()])
    """Where messages go; default the console. An empty list sends nothing."""

    web: WebConfig | None = Field(default=WebConfig())
    """The preview page; `false` for none."""

    device: str = Field(default="auto", pattern=_DEVICE)
    """Where pictures are processed: `cpu`, `cuda`, or `cuda:1` for the second device. `auto`: CUDA
    where OpenCV can use a device, the CPU elsewhere."""

    poison: bool = False
    """Overwrite a frame's buffers once it is done, and report stages that kept one. Slower; for
    finding mistakes."""

    _file: Path | None = PrivateAttr(None)
    _watched: list[Path] = PrivateAttr([])

    @property
    def file(self) -> Path | None:
        """The file that it came from."""
        return self._file

    @property
    def files(self) -> list[Path]:
        """The file, the stage files that it names, and what these import from beside them."""
        return ([self._file] if self._file else []) + list(self._watched)

    def stages_of(self, camera: str) -> list[StageConfig]:
        """Return the stages of a camera: its own, or the common ones."""
        own = self.cameras[camera].stages
        return list(self.stages if own is None else own)

    def camera_specs(self) -> list[CameraSpec]:
        """Return what `edgevision.runner.Runner` runs, in the order of the file."""
        from edgevision.runner.spec import CameraSpec

        return [
            CameraSpec(
                name=name,
                source=camera.open_source,
                stages=[stage.spec() for stage in self.stages_of(name)],
                policy=camera.policy,
                queue_size=camera.queue_size,
                max_age_s=None if camera.max_age_ms is None else camera.max_age_ms / 1e3,
                stall_s=camera.stall_s,
                first_retry_s=camera.reconnect.first_s,
                longest_retry_s=camera.reconnect.longest_s,
                stage_timeout_s=camera.stage_timeout_s,
                poison=self.poison,
                device=camera.device or self.device,
                max_copies=camera.max_copies,
            )
            for name, camera in self.cameras.items()
        ]

    def open_upstreams(self) -> list[Upstream]:
        """Return the upstreams, not started yet."""
        from edgevision.upstream.registry import open_upstream

        return [open_upstream(settings) for settings in self.upstream]
