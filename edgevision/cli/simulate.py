"""``edgevision simulate``, and the commands with which a second terminal steers it."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from edgevision.cli.application import (
    Duration,
    Host,
    NoWeb,
    Open,
    Port,
    Settings,
    Stages,
    application,
)
from edgevision.cli.options import AsJson, Quiet
from edgevision.cli.output import Output
from edgevision.errors import ConfigurationError

__all__ = [
    "fault",
    "get",
    "method_call",
    "send",
    "set_desired",
    "show",
    "simulate",
    "simulated_module",
]

twin = typer.Typer(no_args_is_help=True, help="See and change the simulated module's twin.")
method = typer.Typer(no_args_is_help=True, help="Call the simulated module's direct methods.")
inputs = typer.Typer(no_args_is_help=True, help="Send messages to the simulated module's inputs.")
application.add_typer(twin, name="twin")
application.add_typer(method, name="method")
application.add_typer(inputs, name="input")

Module = Annotated[
    str,
    typer.Option("--module", metavar="NAME", help="Which simulation, if there are several."),
]


@application.command()
def simulate(
    pipeline: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Argument(metavar="[PIPELINE.yaml]", help="Default: pipeline.yaml, if it is here."),
    ] = None,
    source: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--source", metavar="[CAMERA=]SOURCE", help="As for edgevision run."),
    ] = None,
    stage: Stages = None,
    settings: Settings = None,
    module: Annotated[str, typer.Option(metavar="NAME", help="Id of the module.")] = "edgevision",
    desired: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            metavar="PATH=VALUE", help="A desired property at the start; the value is YAML."
        ),
    ] = None,
    route: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(metavar="NAME=ROUTE", help="A route of the hub; default: all goes upstream."),
    ] = None,
    command: Annotated[
        str,
        typer.Option(
            metavar="COMMAND",
            help="Another program in place of edgevision run, such as 'python x.py'.",
        ),
    ] = "",
    duration_s: Duration = None,
    no_web: NoWeb = False,
    host: Host = None,
    port: Port = None,
    open_browser: Open = False,
    as_json: AsJson = None,
    quiet: Quiet = False,
) -> int:
    """Run a pipeline as an IoT Edge module, without Azure.

    A stand-in of edgeHub and one of the workload API run beside it. What the module sends is
    printed here; another terminal plays the cloud:

    edgevision twin set stages.motion.min_area=900

    edgevision method call status

    edgevision fault restart

    The exit status is the module's.
    """
    from edgevision.cli.run import RunRequest
    from edgevision.cli.simulated import SimulatedRun
    from edgevision.cli.simulation import Simulation, SimulationPlan

    words = shlex.split(command)
    if not words:
        RunRequest(pipeline, source or [], stage or [], settings or []).read()
        simulated = SimulatedRun(
            pipeline=None if pipeline is None else str(pipeline),
            sources=source or [],
            stages=stage or [],
            settings=settings or [],
            web=not no_web,
            host=host,
            port=port,
            open_browser=open_browser,
        )
        words = [sys.executable, "-m", "edgevision", "simulated", simulated.to_json()]
    elif pipeline is not None or source or stage or settings:
        raise ConfigurationError("--command runs instead of a pipeline; say one of the two")
    plan = SimulationPlan(
        command=words,
        module=module,
        duration_s=duration_s,
        routes=dict(_pair(text, "--route", "NAME=ROUTE") for text in route or []),
        desired=_patch(desired or []),
    )
    output = Output(as_json, quiet)
    code = Simulation(plan, output).run()
    if code == 0 and Path("module.json").is_file():
        output.notice("next: edgevision build --platform NAME; edgevision build --list names them")
    return code


@application.command("simulated", hidden=True)
def simulated_module(run: Annotated[str, typer.Argument(metavar="JSON")]) -> int:
    """Run the module of a simulation; edgevision simulate starts it."""
    from edgevision.cli.simulated import SimulatedRun

    return SimulatedRun.of_json(run).run()


@twin.command("show")
def show(module: Module = "", as_json: AsJson = None) -> None:
    """Print the twin: desired and reported properties."""
    _print(_ask(module, do="twin"), as_json)


@twin.command("get")
def get(
    path: Annotated[str, typer.Argument(help="Such as reported.cameras.door.state.")],
    module: Module = "",
    as_json: AsJson = None,
) -> None:
    """Print one part of the twin."""
    value = _ask(module, do="twin")
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            raise ConfigurationError(f"the twin has no {path}")
        value = value[key]
    _print(value, as_json)


@twin.command("set")
def set_desired(
    changes: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH=VALUE...", help="Such as stages.motion.min_area=900; null removes."
        ),
    ],
    module: Module = "",
    as_json: AsJson = None,
) -> None:
    """Change desired properties, as the cloud does; the values are YAML.

    For example:

    edgevision twin set stages.motion.min_area=900 log_level=debug

    edgevision twin set cameras.yard=null
    """
    _print(_ask(module, do="desired", patch=_patch(changes)), as_json)


@method.command("call")
def method_call(
    name: Annotated[str, typer.Argument(help="Such as status.")],
    payload: Annotated[
        str, typer.Argument(metavar="[JSON]", help="What the method gets.")
    ] = "null",
    timeout_s: Annotated[
        float, typer.Option(min=0, max=300, metavar="S", help="How long the module has.")
    ] = 30.0,
    module: Module = "",
    as_json: AsJson = None,
) -> int:
    """Call a direct method and print its answer; exit status 1 unless it is a good one.

    For example:

    edgevision method call set '{"stage": "motion", "params": {"min_area": 300}}'
    """
    asked = {"do": "method", "name": name, "payload": _json(payload), "timeout_s": timeout_s}
    answer = _ask(module, timeout_s + 10, **asked)
    _print(answer, as_json)
    return 0 if 200 <= answer["status"] < 300 else 1


@inputs.command("send")
def send(
    name: Annotated[str, typer.Argument(help="Name of the input.")],
    body: Annotated[str, typer.Argument(metavar="JSON", help="The message.")],
    property_: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--property", metavar="NAME=VALUE", help="Of the message; repeatable."),
    ] = None,
    module: Module = "",
) -> None:
    """Send a message to an input, as a route from another module does."""
    properties = {"$.ct": "application/json", "$.ce": "utf-8"}
    properties |= dict(_pair(text, "--property", "NAME=VALUE") for text in property_ or [])
    _ask(module, do="input", name=name, body=_json(body), properties=properties)


@application.command()
def fault(
    name: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(help="Without one, they are listed."),
    ] = None,
    value: Annotated[
        Optional[float],  # noqa: UP045
        typer.Argument(help="For some of them."),
    ] = None,
    module: Module = "",
    as_json: AsJson = None,
) -> None:
    """Make something go wrong in a simulation, or right again.

    For example:

    edgevision fault restart

    edgevision fault twin 429

    edgevision fault none
    """
    from edgevision.cli.simulation_fault import FAULTS

    output = Output(as_json)
    if name is not None:
        _print(_ask(module, do="fault", name=name, value=value), as_json)
    elif output.data_is_json:
        for known, found in FAULTS.items():
            output.data({"fault": known, "value": found.value or None, "help": found.help})
    else:
        width = max(len(f"{known} {found.value}") for known, found in FAULTS.items())
        for known, found in FAULTS.items():
            print(f"{f'{known} {found.value}':<{width}}  {found.help}")


def _ask(module: str, answered_in_s: float = 30.0, **request: Any) -> Any:
    from edgevision.cli.simulation_control import ask, find

    return ask(find(module), request, answered_in_s)


def _print(value: Any, as_json: bool | None) -> None:
    compact = Output(as_json).data_is_json
    print(json.dumps(value, indent=None if compact else 2, ensure_ascii=not sys.stdout.isatty()))


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigurationError(
            f"not JSON: {text!r} ({error}); a text needs its quotes"
        ) from error


def _pair(text: str, option: str, wanted: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ConfigurationError(f"{option} wants {wanted}, got {text!r}")
    return name.strip(), value


def _patch(changes: list[str]) -> dict[str, Any]:
    """Return ``a.b=1`` and the like as one nested mapping."""
    from edgevision.config.document import parse_yaml
    from edgevision.config.node import plain
    from edgevision.config.problems import Problems

    patch: dict[str, Any] = {}
    for change in changes:
        path, text = _pair(change, "a desired property", "PATH=VALUE")
        problems = Problems(path)
        value = plain(parse_yaml(f"value: {text}", problems))
        problems.raise_if_any()
        *above, last = path.split(".")
        place = patch
        for key in above:
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise ConfigurationError(f"{path}: something above it is set to a value as well")
        place[last] = value.get("value")
    return patch
