"""The module of a simulation, in the process that ``edgevision simulate`` starts for it."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgevision.cli.output import Output
from edgevision.cli.run import RunRequest
from edgevision.cli.session import RunOptions, Session

if TYPE_CHECKING:
    from edgevision.config import PipelineConfig

__all__ = ["SimulatedRun"]

_ARTIFACTS = "artifacts"


@dataclass(frozen=True)
class SimulatedRun:
    """What to run; it travels from one process to the other.

    Attributes:
        pipeline: a file, or None.
        sources: ``SOURCE`` or ``CAMERA=SOURCE``.
        stages: names of stages.
        settings: ``STAGE.PARAM=VALUE``.
        web: False for no preview page.
        host: address of the preview page; None: this machine alone.
        port: port of the preview page; None: any free one, since several simulations may run.
        open_browser: open the page in a browser.
    """

    pipeline: str | None
    sources: list[str]
    stages: list[str]
    settings: list[str]
    web: bool
    host: str | None
    port: int | None
    open_browser: bool

    @classmethod
    def of_json(cls, text: str) -> SimulatedRun:
        """Return what `to_json` wrote."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """Return this as one word of a command line."""
        return json.dumps(asdict(self))

    def run(self) -> int:
        """Run to the end and return the exit status.

        The outbox is a new one and goes with the process: another simulation, or yesterday's
        messages, have no part in it. Folders that pipeline.yaml names for a container are not used
        either.

        Raises:
            ConfigurationError: the pipeline has a mistake.
        """
        pipeline = None if self.pipeline is None else Path(self.pipeline)
        request = RunRequest(pipeline, self.sources, self.stages, self.settings)
        options = RunOptions(
            web=None if self.web else False,
            host=self.host or "127.0.0.1",
            port=self.port or 0,
            open_browser=self.open_browser,
        )
        with tempfile.TemporaryDirectory(prefix="edgevision-") as folder:
            return Session(
                lambda: _with_outbox(request.read(), Path(folder)), options, Output()
            ).run()


def _with_outbox(config: PipelineConfig, folder: Path) -> PipelineConfig:
    """Return the pipeline with one upstream, the simulated hub, as far as it says how."""
    from edgevision.upstream.settings import IotEdgeSettings

    own = [known for known in config.upstream if isinstance(known, IotEdgeSettings)]
    settings = own[0] if own else IotEdgeSettings()
    outbox = settings.outbox.model_copy(update={"path": str(folder / "outbox.sqlite")})
    artifacts = settings.artifacts
    if Path(artifacts.path).is_absolute():
        artifacts = artifacts.model_copy(update={"path": _ARTIFACTS})
    changed = settings.model_copy(update={"outbox": outbox, "artifacts": artifacts})
    return config.model_copy(update={"upstream": [changed]})
