"""The commands and their options, and what becomes of errors."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from edgevision.cli.check_commands import add_check_commands
from edgevision.cli.fleet_commands import add_fleet_commands
from edgevision.cli.help_order import arrange
from edgevision.cli.options import AsJson as AsJson
from edgevision.cli.options import Quiet as Quiet
from edgevision.cli.output import Output
from edgevision.errors import ConfigurationError, EdgeVisionError
from edgevision.suggestion import did_you_mean

__all__ = ["application", "run"]

_USAGE, _FAILED, _BUG, _BROKEN_PIPE = 2, 1, 70, 141
_REPORT = "This is a mistake in edgevision. Please report it with the lines above."

application = typer.Typer(
    name="edgevision",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="""Write a vision stage against a webcam; run it on a fleet of Jetson devices.

    Try it:           [bold]edgevision demo[/bold]

    Your webcam:      [bold]edgevision run --source webcam:0 --stage motion[/bold]

    A stage of yours: [bold]edgevision new stage line_counter[/bold]
    """,
    epilog="On a terminal the output is for people, otherwise it is JSON lines; --json and --text "
    "decide. Exit status: 0 well, 1 a camera failed, 2 a mistake of the caller's, 75 CUDA is "
    "broken in this process.",
)
new = typer.Typer(no_args_is_help=True, help="Write the first lines of something new.")
application.add_typer(new, name="new")

add_fleet_commands(application, new)
add_check_commands(application)

# Optional[...] rather than a union: typer reads the annotations when Python 3.10 runs, too.
Duration = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option("--duration-s", min=0, metavar="S", help="Stop after so many seconds."),
]
Device = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="cpu, cuda or cuda:1; auto: CUDA where OpenCV can use a device, else the CPU.",
    ),
]
NoWeb = Annotated[bool, typer.Option("--no-web", help="No preview page.")]
Host = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        metavar="ADDRESS",
        help="Address of the preview page. 0.0.0.0: everyone who reaches this machine sees it.",
    ),
]
Port = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(min=0, max=65535, help="Port of the preview page; 0 takes a free one."),
]
Open = Annotated[bool, typer.Option("--open", help="Open the preview page in a browser.")]
Reload = Annotated[
    bool,
    typer.Option("--reload", help="Start the stages again when their file is saved."),
]
Stages = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        "--stage",
        metavar="STAGE",
        help="Built-in name, ./file.py:Class or package.module:Class. Repeat it for more.",
    ),
]
Settings = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--set", metavar="STAGE.PARAM=VALUE", help="A parameter; the value is YAML."),
]
Upstreams = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        "--upstream",
        metavar="NAME[:ARGUMENT]",
        help="console, jsonl:FILE, iotedge[:OUTBOX]; repeatable.",
    ),
]


def _print_version(asked: bool) -> None:
    if asked:
        import platform

        import cv2

        from edgevision import __version__

        print(f"edgevision {__version__} (OpenCV {cv2.__version__}, {platform.python_version()})")
        raise typer.Exit


@application.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    del version


@application.command()
def demo(
    cameras: Annotated[int, typer.Option(min=1, max=4, help="Synthetic cameras.")] = 1,
    duration_s: Duration = None,
    no_web: NoWeb = False,
    host: Host = None,
    port: Port = None,
    open_browser: Open = False,
    as_json: AsJson = None,
    quiet: Quiet = False,
) -> int:
    """Watch boxes follow people, without a camera.

    A synthetic camera draws a walkway; boxes appear on the preview page at
    http://127.0.0.1:8080 while the messages scroll by here.
    """
    from edgevision.cli.demo import run_demo
    from edgevision.cli.session import RunOptions

    options = RunOptions(duration_s, False if no_web else None, host, port, open_browser)
    return run_demo(cameras, options, Output(as_json, quiet))


@application.command("run")
def run_pipeline(
    pipeline: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Argument(metavar="[PIPELINE.yaml]", help="Default: pipeline.yaml, if it is here."),
    ] = None,
    source: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--source",
            metavar="[CAMERA=]SOURCE",
            help="webcam:0, clip.mp4, rtsp://..., synthetic: or another address. With a "
            "PIPELINE.yaml it replaces the source of that camera.",
        ),
    ] = None,
    stage: Stages = None,
    settings: Settings = None,
    upstream: Upstreams = None,
    device: Device = None,
    duration_s: Duration = None,
    reload: Reload = False,
    no_web: NoWeb = False,
    host: Host = None,
    port: Port = None,
    open_browser: Open = False,
    as_json: AsJson = None,
    quiet: Quiet = False,
) -> int:
    """Run a pipeline.yaml, or a source and stages.

    For example:

    edgevision run pipeline.yaml

    edgevision run --source webcam:0 --stage motion --set motion.min_area=300

    edgevision run --source clip.mp4 --stage ./stages.py:LineCounter --reload

    edgevision run pipeline.yaml --source door=synthetic: --duration-s 10
    """
    from edgevision.cli.run import RunRequest
    from edgevision.cli.session import RunOptions, Session

    request = RunRequest(
        pipeline, source or [], stage or [], settings or [], upstream, quiet=quiet, device=device
    )
    web = False if no_web else None
    options = RunOptions(duration_s, web, host, port, open_browser, reload)
    return Session(request.read, options, Output(as_json, quiet)).run()


@application.command()
def replay(
    folder: Annotated[Path, typer.Argument(help="What edgevision record wrote.")],
    stage: Stages = None,
    settings: Settings = None,
    upstream: Upstreams = None,
    fast: Annotated[bool, typer.Option("--fast", help="Without the camera's pauses.")] = False,
    loop: Annotated[bool, typer.Option("--loop", help="Begin again at the end.")] = False,
    duration_s: Duration = None,
    reload: Reload = False,
    no_web: NoWeb = False,
    host: Host = None,
    port: Port = None,
    open_browser: Open = False,
    as_json: AsJson = None,
    quiet: Quiet = False,
) -> int:
    """Play a recording, through stages if some are named.

    The same as edgevision run --source replay:FOLDER.
    """
    from edgevision.cli.run import RunRequest
    from edgevision.cli.session import RunOptions, Session
    from edgevision.recording import Recording

    Recording(folder)  # says at once what is wrong with it
    address = f"replay:{folder}?pace={'fast' if fast else 'real'}&loop={int(loop)}"
    request = RunRequest(None, [f"replay={address}"], stage or [], settings or [], upstream)
    web = False if no_web else None
    options = RunOptions(duration_s, web, host, port, open_browser, reload)
    return Session(request.read, options, Output(as_json, quiet)).run()


@application.command()
def record(
    source: Annotated[str, typer.Argument(help="webcam:0, rtsp://... or another address.")],
    folder: Annotated[Path, typer.Argument(help="A new or an empty folder.")],
    frames: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, metavar="N", help="Stop after so many frames."),
    ] = None,
    duration_s: Duration = None,
    jpeg: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            min=1, max=100, metavar="QUALITY", help="JPEG instead of lossless PNG: faster, smaller."
        ),
    ] = None,
    as_json: AsJson = None,
    quiet: Quiet = False,
) -> int:
    """Record frames with their times, to play them again.

    For example:

    edgevision record webcam:0 night --frames 100

    edgevision replay night --stage motion
    """
    from edgevision.cli.record import record as record_frames

    return record_frames(
        source,
        folder,
        Output(as_json, quiet),
        frames=frames,
        duration_s=duration_s,
        image_format="png" if jpeg is None else "jpeg",
        quality=jpeg or 95,
    )


@application.command()
def stages(
    name: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(help="A built-in stage, or ./file.py:Class."),
    ] = None,
    as_json: AsJson = None,
) -> None:
    """List the built-in stages, or show one with its parameters."""
    from edgevision.cli.stage_list import show_stage, show_stages

    if name is None:
        show_stages(Output(as_json))
    else:
        show_stage(name, Output(as_json))


@application.command()
def schema(
    message: Annotated[
        bool, typer.Option("--message", help="The schema of messages instead.")
    ] = False,
) -> None:
    """Print the JSON Schema of pipeline.yaml, with which an editor completes and checks it.

    edgevision schema > pipeline.schema.json, and as the first line of pipeline.yaml:

    # yaml-language-server: $schema=pipeline.schema.json
    """
    import json

    if message:
        from edgevision.upstream.message import json_schema as message_schema

        print(json.dumps(message_schema(), indent=2))
        return
    from edgevision.config import json_schema

    print(json.dumps(json_schema(), indent=2))


@application.command()
def build(
    what: Annotated[
        str,
        typer.Argument(help="module and all below it; or l4t, cuda, opencv, or OpenCV's wheel."),
    ] = "module",
    platform: Annotated[
        str, typer.Option(metavar="NAME", help="Such as orin-r36; --list shows them; all.")
    ] = "",
    release: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="VERSION", help="With --platform orin: an L4T or CUDA version."),
    ] = None,
    list_all: Annotated[bool, typer.Option("--list", help="Show the platforms.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the commands only.")] = False,
    show_plan: Annotated[
        bool, typer.Option("--print", help="Show the plan only, as docker-bake.json.")
    ] = False,
    repository: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What the names of the images below the module's begin with; default edgevision, "
            "in the registry of the module's image.",
        ),
    ] = "",
    module: Annotated[Path, typer.Option(help="Folder of the module.")] = Path(),
    file: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(metavar="PATH|URL", help="A file that the platform needs; repeatable."),
    ] = None,
    apt_url: Annotated[
        str, typer.Option(metavar="URL", help="NVIDIA's repository for Jetson; on one: its own.")
    ] = "",
    only: Annotated[bool, typer.Option("--only", help="Leave out the layers below.")] = False,
    push: Annotated[
        bool, typer.Option("--push", help="Push the images to their registry.")
    ] = False,
    cache: Annotated[
        str, typer.Option(metavar="TYPE", help="Where layers are kept, as BuildKit has it.")
    ] = "",
    jobs: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, metavar="N", help="Compilations at a time."),
    ] = None,
    sm: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(metavar="SM", help="wheel: compute capability, such as 8.9; repeatable."),
    ] = None,
    cuda_home: Annotated[
        str, typer.Option(metavar="FOLDER", help="wheel: a CUDA of this machine, not PyPI's.")
    ] = "",
    out: Annotated[Path, typer.Option(help="Folder for wheels.")] = Path("dist"),
    as_json: AsJson = None,
    quiet: Quiet = False,
) -> int:
    """Build a platform's images, or OpenCV with CUDA as a wheel.

    For example:

    edgevision build --platform orin-r36 --dry-run

    edgevision build --platform orin-r36 --push

    edgevision build wheel --platform x86_64-dgpu --sm 8.9
    """
    from edgevision.cli.build import BuildRequest, list_platforms
    from edgevision.cli.build import build as build_it

    if list_all:
        return list_platforms(Output(as_json, quiet))
    request = BuildRequest(
        what=what,
        platform=platform,
        release=release,
        repository=repository,
        module=module,
        files=tuple(file or ()),
        apt_url=apt_url,
        only=only,
        push=push,
        cache=cache,
        jobs=jobs,
        sm=tuple(sm or ()),
        cuda_home=cuda_home,
        out=out,
        show_plan=show_plan,
        dry_run=dry_run,
    )
    return build_it(request, Output(as_json, quiet))


@new.command("stage")
def new_stage(
    name: Annotated[str, typer.Argument(help="Such as line_counter.")],
    folder: Annotated[Path, typer.Option(help="Where to.")] = Path(),
    as_json: AsJson = None,
) -> None:
    """Write a stage and a test of it; nothing is overwritten."""
    from edgevision.cli.scaffold import new_stage as write

    write(name, folder, Output(as_json))


# It adds its commands to `application`, with the options above.
from edgevision.cli import simulate  # noqa: E402, F401

arrange(application)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit status; errors become messages.

    Args:
        arguments: what follows the program's name; default this process's.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    output = Output.of_arguments(given)
    try:
        code = application(given, prog_name="edgevision", standalone_mode=False)
        sys.stdout.flush()
    except ConfigurationError as error:
        output.error(str(error), **_places(error))
        return _USAGE
    except EdgeVisionError as error:
        output.error(str(error))
        return _FAILED
    except BrokenPipeError:
        # The reader has left. Python would complain at exit that it cannot flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print(str(error), end="")  # empty where rich has printed the help already
            return _USAGE
        usage = _usage_message(error)
        if usage is None:
            traceback.print_exc()
            print(_REPORT, file=sys.stderr)
            return _BUG
        output.error(usage)
        return _USAGE
    return code if isinstance(code, int) else 0


def _places(error: ConfigurationError) -> dict[str, Any]:
    """Return file, line and path of each mistake, for programs."""
    problems = error.problems or (error,)
    known = [p for p in problems if p.file or p.path]
    fields = ("file", "line", "path", "message")
    return {"problems": [{f: getattr(p, f) for f in fields} for p in known]} if known else {}


def _usage_message(error: Exception) -> str | None:
    """Return what is wrong with the command line, or None for any other error."""
    # The base class is click's or typer's own copy of it, depending on typer's version.
    if not any(base.__name__ == "ClickException" for base in type(error).__mro__):
        return None
    shown: Any = error
    text = str(shown.format_message())
    unknown = re.match(r"No such command '(?P<name>[^']*)'", text)
    if unknown and "mean" not in text:
        names = [command.name or "" for command in application.registered_commands]
        names += [getattr(c.callback, "__name__", "") for c in application.registered_commands]
        text = text.rstrip(".") + did_you_mean(
            unknown["name"], [*names, "new", "twin", "method", "input"]
        )
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "edgevision"
    return f"{text} ({command} --help tells more)"
