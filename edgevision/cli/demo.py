"""``edgevision demo``: boxes follow people in a browser, without a camera."""

from __future__ import annotations

import errno
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgevision.cli.output import Output
from edgevision.cli.session import RunOptions, Session
from edgevision.errors import ConfigurationError, EdgeVisionError

if TYPE_CHECKING:
    from edgevision.config import PipelineConfig

__all__ = ["run_demo"]

_FPS = 15
_SIZE_WH = (640, 480)
_PORT = 8080
_PORTS = 20
# People are looked for where this share of the time between two frames is enough for it: as well
# as possible, or else in fewer sizes.
_BUDGET = 0.5
_PEOPLE: tuple[dict[str, Any], ...] = ({}, {"scale_step": 1.2})


def run_demo(cameras: int, options: RunOptions, output: Output) -> int:
    """Run synthetic cameras and return the exit status.

    Raises:
        ConfigurationError: a port that was asked for is taken.
    """
    document = _document(cameras)

    def make() -> PipelineConfig:
        from edgevision.config import from_mapping

        return from_mapping(document)

    if options.web is False or options.port is not None:
        return Session(make, options, output).run()
    output.start_logging()
    for port in range(_PORT, _PORT + _PORTS):
        try:
            return Session(make, replace(options, port=port), output).run()
        except ConfigurationError as error:
            if not _is_taken(error):
                raise
        output.notice(f"port {port} is taken, trying port {port + 1}", port=port + 1)
    raise ConfigurationError(f"the ports {_PORT} to {_PORT + _PORTS - 1} are taken; name a --port")


def _document(cameras: int) -> dict[str, Any]:
    width, height = _SIZE_WH
    sources = {
        name: f"synthetic:?width={width}&height={height}&fps={_FPS}&seed={seed}"
        for seed, name in enumerate(("walkway", "station", "market", "harbour")[:cameras], 1)
    }
    # Few frames to learn from: the scene is empty enough, and somebody waits for the first box.
    stages: list[Any] = [{"motion": {"min_area": 300, "warm_up": 8}}]
    params = next((p for p in _PEOPLE if _in_time(p, cameras)), None)
    if params is not None:
        stages.append({"people": params})
    return {"module": "demo", "cameras": sources, "stages": stages}


def _in_time(params: dict[str, Any], cameras: int) -> bool:
    """Say whether this machine finds people as fast as the cameras deliver."""
    import numpy as np

    from edgevision.frame import Frame
    from edgevision.pipeline import Pipeline
    from edgevision.stages import load

    width, height = _SIZE_WH
    image = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    try:
        with Pipeline([load("people")(**params)]) as pipeline:
            begun_s = time.monotonic()
            pipeline.process(Frame(image))
            needed_s = time.monotonic() - begun_s
    except EdgeVisionError:  # OpenCV 5 finds no people
        return False
    return needed_s * cameras < _BUDGET / _FPS


def _is_taken(error: ConfigurationError) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRINUSE
