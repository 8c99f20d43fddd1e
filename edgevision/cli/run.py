"""``edgevision run``: what the arguments ask for, as a pipeline."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgevision.errors import ConfigurationError

if TYPE_CHECKING:
    from edgevision.config import Override, PipelineConfig

__all__ = ["RunRequest"]

_DEFAULT = Path("pipeline.yaml")
_NAMED = re.compile(r"(?P<camera>[A-Za-z0-9_][A-Za-z0-9_-]*)=(?P<address>.+)", re.DOTALL)
_SETTING = re.compile(r"(?P<stage>.+)\.(?P<param>[A-Za-z_]\w*)=(?P<value>.*)", re.DOTALL)


@dataclass(frozen=True)
class RunRequest:
    """What the command line says about the pipeline.

    Attributes:
        pipeline: a file, or None.
        sources: ``SOURCE`` or ``CAMERA=SOURCE``.
        stages: names of stages.
        settings: ``STAGE.PARAM=VALUE``.
        upstreams: where messages go instead of where the pipeline says; None: as it says.
        quiet: without a file, no messages are printed.
        device: where all cameras' pictures are processed; None: as the pipeline says.
    """

    pipeline: Path | None
    sources: list[str]
    stages: list[str]
    settings: list[str]
    upstreams: list[str] | None = None
    quiet: bool = False
    device: str | None = None

    def read(self) -> PipelineConfig:
        """Return the pipeline as its files are now.

        Raises:
            ConfigurationError: the file or an argument has a mistake.
        """
        from edgevision.config import from_mapping, load

        path = self._path()
        override = self._override(with_sources=path is not None)
        if path is None:
            config = from_mapping(self._document(), override=override)
        else:
            if self.stages:
                raise ConfigurationError(f"--stage goes with --source; {path} has stages already")
            config = load(path, override=override)
        if self.device is not None:
            config = self._on_device(config, self.device)
        if self.upstreams is None:
            return config
        # A document of its own, so that what is wrong with an upstream is said in the same words.
        cameras = {"cam": "synthetic:"}
        other = from_mapping({"cameras": cameras, "upstream": self.upstreams})
        return config.model_copy(update={"upstream": other.upstream})

    @staticmethod
    def _on_device(config: PipelineConfig, device: str) -> PipelineConfig:
        from edgevision.cuda.choice import check

        check(device)
        cameras = {
            name: camera.model_copy(update={"device": None})
            for name, camera in config.cameras.items()
        }
        return config.model_copy(update={"device": device, "cameras": cameras})

    def _path(self) -> Path | None:
        if self.pipeline is not None:
            return self.pipeline
        if self.sources:
            return None
        if _DEFAULT.is_file() and not self.stages:
            return _DEFAULT
        raise ConfigurationError(
            "nothing to run: name a PIPELINE.yaml, or a --source such as webcam:0 or synthetic:"
        )

    def _document(self) -> dict[str, Any]:
        cameras: dict[str, str] = {}
        for source in self.sources:
            camera, address = _split(source)
            name = camera or _free_name(cameras)
            if name in cameras:
                raise ConfigurationError(f"two sources are called {name!r}")
            cameras[name] = address
        return {"module": "edgevision", "cameras": cameras, "stages": list(self.stages)}

    def _override(self, *, with_sources: bool) -> Override:
        from edgevision.config import Override

        sources = dict(_split(source) for source in self.sources) if with_sources else {}
        return Override(sources, dict(_setting(text) for text in self.settings))


def _split(source: str) -> tuple[str, str]:
    """Return camera and address of ``CAMERA=SOURCE``; the camera is "" in ``SOURCE``."""
    named = _NAMED.fullmatch(source)
    if named is None or Path(source).exists():
        return "", source
    return named["camera"], named["address"]


def _free_name(cameras: dict[str, str]) -> str:
    return next(
        name
        for number in range(1, len(cameras) + 2)
        if (name := "cam" if number == 1 else f"cam-{number}") not in cameras
    )


def _setting(text: str) -> tuple[tuple[str, str], Any]:
    """Return stage, parameter and value of ``STAGE.PARAM=VALUE``; the value is YAML."""
    from edgevision.config.document import parse_yaml
    from edgevision.config.node import plain
    from edgevision.config.problems import Problems

    found = _SETTING.fullmatch(text)
    if found is None:
        raise ConfigurationError(
            f"--set wants STAGE.PARAM=VALUE, such as motion.min_area=300, got {text!r}"
        )
    problems = Problems(f"--set {found['stage']}.{found['param']}")
    written = f"value: {found['value']}"
    value = plain(parse_yaml(written, problems))
    problems.raise_if_any()
    return (found["stage"], found["param"]), value.get("value")
