"""Set up, run, test and measure edgevision, each with one command.

    python3 dev.py demo [ARGUMENTS]          install what the demo needs and start it
    python3 dev.py test [OPTIONS] [PYTEST]   install what the tests need and run every check
    python3 dev.py bench [NAME ...]          list the benchmarks, or run some and keep their numbers
    python3 dev.py setup                     install what the tests need, run nothing
    python3 dev.py lock [--upgrade]          resolve the requirements again and hash them

Everything lands in .venv (OpenCV 5: .venv-cv5) beside this file. Only packages whose hash stands in
requirements/ are installed, and once only, until requirements/ or pyproject.toml change.
"""

# An old interpreter must get as far as the message below, so the syntax is Python 3.6's throughout.
import argparse
import ast
import contextlib
import fcntl
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

if sys.version_info < (3, 10):  # noqa: UP036 - the message is for exactly those
    sys.exit(
        f"edgevision needs Python 3.10 or newer, and this is {platform.python_version()} "
        f"({sys.executable}).\nRun the same command with a newer one, for example: "
        "python3.11 dev.py demo"
    )

ROOT = Path(__file__).resolve().parent
REQUIREMENTS = ROOT / "requirements"
OUT = ROOT / "out"
# Tests that no version of OpenCV can make a difference to.
WITHOUT_PICTURES = [
    "tests/docker",
    "tests/docs",
    "tests/module",
    "tests/unit/deploy",
    "tests/unit/doctor",
    "tests/unit/harness",
    "tests/unit/hub",
    "tests/unit/manifest",
    "tests/unit/outbox",
    "tests/unit/routing",
    "tests/unit/upstream",
]
CHECKED = ("edgevision", "module", "docker", "samples", "tests", "dev.py")
"""What is linted and type-checked, where it exists."""


class Environment:
    """A virtual environment and the files that fill it.

    Args:
        folder: where it is, below the project's root.
        requirements: the hashed file with everything in it.
        headless: the hashed file with the OpenCV that needs no libGL.
        provides: the names of the environments that this one can stand in for.
    """

    def __init__(self, folder: str, requirements: str, headless: str, provides: list[str]) -> None:
        self.folder = ROOT / folder
        self.requirements = REQUIREMENTS / requirements
        self.headless = REQUIREMENTS / headless
        self.provides = provides
        self.python = self.folder / "bin" / "python"
        self.stamp = self.folder / "edgevision-installed.json"

    def wanted(self) -> str:
        """Return the hash of everything that decides what is installed."""
        # A moved folder counts as a change: the environment's programs hold its path.
        digest = hashlib.sha256(str(ROOT).encode())
        for path in (ROOT / "pyproject.toml", REQUIREMENTS / "build.txt", self.requirements):
            digest.update(path.read_bytes())
        return digest.hexdigest()


ENVIRONMENTS = {
    "run": Environment(".venv", "run.txt", "headless.txt", ["run"]),
    "dev": Environment(".venv", "dev.txt", "headless.txt", ["run", "dev"]),
    "opencv5": Environment(".venv-cv5", "opencv5.txt", "opencv5-headless.txt", ["opencv5"]),
}


def say(text: str) -> None:
    """Print a line about the work itself; standard output is left to the program that is run."""
    print(text, file=sys.stderr, flush=True)


def fail(text: str) -> NoReturn:
    """End with a message and without a traceback."""
    say(text)
    raise SystemExit(1)


def call(*command: str) -> int:
    """Run a command in the project's root and return its exit status."""
    with subprocess.Popen(command, cwd=str(ROOT)) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the terminal has told the child too
            process.wait()
            raise


def install(label: str, python: Path, *arguments: str) -> None:
    """Run pip, showing the package it is at; show all it said if it fails."""
    command = [str(python), "-m", "pip", "--disable-pip-version-check", *arguments]
    terminal = sys.stderr.isatty()
    begun_s = time.monotonic()
    output: list[str] = []
    done = 0
    if not terminal:
        say(f"{label} ...")
    environment = dict(os.environ, PYTHONUNBUFFERED="1")
    with subprocess.Popen(
        command,
        cwd=str(ROOT),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            output.append(line)
            doing = re.match(r"(Collecting|Building|Installing)\s+(\S+)", line.strip())
            if doing and terminal:
                done += doing.group(1) == "Collecting"
                now = f"{label}: {doing.group(1).lower()} {doing.group(2)} ({done})"
                sys.stderr.write(f"\r\033[K{now[:100]}")
                sys.stderr.flush()
    taken = f"{label}: {time.monotonic() - begun_s:.1f} s"
    if terminal:
        sys.stderr.write("\r\033[K")
    if process.returncode:
        sys.stderr.write("".join(output))
        fail(f"{label} failed: " + " ".join(command))
    say(taken)


def cv2_error(python: Path) -> str:
    """Return why ``import cv2`` fails in an environment; empty when it works."""
    done = subprocess.run(
        [str(python), "-c", "import cv2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    return done.stderr.strip().splitlines()[-1] if done.returncode and done.stderr else ""


def works(python: Path, code: str) -> bool:
    """Tell whether an interpreter is there and runs a line of code."""
    with contextlib.suppress(OSError):
        return not subprocess.run([str(python), "-c", code], stderr=subprocess.DEVNULL).returncode
    return False


def create(environment: Environment) -> None:
    """Make the virtual environment unless a working one is there."""
    try:
        import ensurepip  # noqa: F401 - only to learn whether it is there
        import venv
    except ImportError:
        fail(
            f"{sys.executable} cannot make a virtual environment: its venv or ensurepip module is "
            "missing.\nDebian and Ubuntu keep them in a package of their own: "
            "apt-get install python3-venv"
        )
    usable = works(environment.python, "import sys; sys.exit(sys.version_info < (3, 10))")
    if usable and works(environment.python, "import pip"):
        return
    say(f"making {environment.folder.name} with Python {platform.python_version()} ...")
    begun_s = time.monotonic()
    builder = venv.EnvBuilder(with_pip=True, clear=not usable, symlinks=True)
    builder.create(str(environment.folder))
    say(f"making {environment.folder.name}: {time.monotonic() - begun_s:.1f} s")


def read_stamp(environment: Environment) -> dict[str, str]:
    """Return what was installed, by environment name; empty when unknown."""
    try:
        stamp = json.loads(environment.stamp.read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


@contextlib.contextmanager
def alone(environment: Environment) -> Iterator[None]:
    """Let one set-up at a time touch an environment."""
    with open(str(environment.folder) + ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say(f"waiting for another set-up of {environment.folder.name} ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def set_up(name: str) -> Environment:
    """Bring an environment up to date and return it."""
    environment = ENVIRONMENTS[name]
    wanted = environment.wanted()
    with alone(environment):
        stamp = read_stamp(environment)
        if environment.python.exists() and stamp.get(name) == wanted:
            return environment
        create(environment)
        # Without its stamp, an installation that is cut off is begun again.
        with contextlib.suppress(FileNotFoundError):
            environment.stamp.unlink()
        python = environment.python
        if stamp.get("headless"):
            install("removing the headless OpenCV", python, "uninstall", "-y", stamp["headless"])
        hashed = ("install", "--require-hashes", "--no-build-isolation", "-r")
        install("installing the build tools", python, *hashed, str(REQUIREMENTS / "build.txt"))
        names = re.findall(r"^([\w.-]+)==", environment.requirements.read_text(), re.M)
        label = f"installing {len(set(names))} packages from {environment.requirements.name}"
        install(label, python, *hashed, str(environment.requirements))
        editable = ("install", "--no-deps", "--no-build-isolation", "-e", ".")
        install("installing edgevision", python, *editable)
        fresh = {known: ENVIRONMENTS[known].wanted() for known in environment.provides}
        headless = use_headless_where_needed(environment)
        if headless:
            fresh["headless"] = headless
        environment.stamp.write_text(json.dumps(fresh, indent=1) + "\n")
    return environment


def use_headless_where_needed(environment: Environment) -> str:
    """Replace opencv-python where its system libraries are missing; return by what."""
    error = cv2_error(environment.python)
    if not error:
        return ""
    if ".so" not in error:
        fail(f"OpenCV is installed but does not load: {error}")
    say(
        f"opencv-python does not load here ({error}).\n"
        "Installing opencv-python-headless of the same version in its place: everything works but "
        "cv2.imshow.\nTo use opencv-python: apt-get install libgl1 libglib2.0-0, remove "
        f"{environment.folder.name} and run this again."
    )
    install("removing opencv-python", environment.python, "uninstall", "-y", "opencv-python")
    hashed = ("install", "--require-hashes", "--no-deps", "-r", str(environment.headless))
    install("installing opencv-python-headless", environment.python, *hashed)
    error = cv2_error(environment.python)
    if error:
        fail(f"OpenCV does not load, headless neither: {error}")
    return "opencv-python-headless"


class Outcome:
    """What the checks and tests of one ``dev.py test`` came to."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self.counts: dict[str, int] = dict.fromkeys(("passed", "failed", "skipped"), 0)
        self.skips: dict[str, int] = {}

    def check(self, name: str, *command: str) -> None:
        """Run one check, which counts like one test."""
        self.counts["failed" if self._run(name, *command) else "passed"] += 1

    def pytest(self, name: str, python: Path, arguments: list[str]) -> None:
        """Run pytest and read what it counted and skipped from its report."""
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.xml"
            status = self._run(
                name, str(python), "-m", "pytest", f"--junitxml={report}", *arguments
            )
            cases = (
                ElementTree.parse(str(report)).getroot().iter("testcase") if report.exists() else ()
            )
            failed = 0
            for case in cases:
                skips = [
                    skip.get("message") or ""
                    for skip in case.iter("skipped")
                    if skip.get("type") != "pytest.xfail"
                ]
                if case.find("failure") is not None or case.find("error") is not None:
                    failed += 1
                    continue
                self.counts["skipped" if skips else "passed"] += 1
                for reason in skips:
                    self.skips[reason] = self.skips.get(reason, 0) + 1
            # A pytest that was cut short has failed, whatever it got to count.
            self.counts["failed"] += failed or (1 if status else 0)

    def _run(self, name: str, *command: str) -> int:
        """Run a command, say how long it took, and remember its failure."""
        print(f"\n--- {name}", flush=True)
        begun_s = time.monotonic()
        status = call(*command)
        word = "passed" if status == 0 else f"FAILED with exit status {status}"
        print(f"--- {name}: {word}, {time.monotonic() - begun_s:.1f} s", flush=True)
        if status:
            self.failed.append(name)
        return status

    def close(self) -> int:
        """Print what was skipped, what failed and the counts; return the exit status."""
        print()
        if self.skips:
            print("Skipped:")
            for reason, count in sorted(self.skips.items()):
                text = re.sub("^needs ", "need " if count > 1 else "needs ", reason)
                print(f"  {count} {'tests' if count > 1 else 'test'} {text}")
        if self.failed:
            print("Failed: " + ", ".join(self.failed))
        words = ", ".join(f"{count} {word}" for word, count in self.counts.items())
        print(words, flush=True)
        return 1 if self.failed else 0


def test(options: argparse.Namespace, arguments: list[str]) -> int:
    """Run the formatter, the linter, the type checker and the tests; go on after a failure."""
    outcome = Outcome()
    if options.opencv in ("4", "all"):
        python = set_up("dev").python
        checked = [name for name in CHECKED if (ROOT / name).exists()]
        module = (str(python), "-m")
        if not options.only_pytest:
            outcome.check("ruff format", *module, "ruff", "format", "--check", *checked)
            outcome.check("ruff check", *module, "ruff", "check", *checked)
            outcome.check("mypy --strict", *module, "mypy", "--strict", *checked)
        outcome.pytest("pytest", python, arguments)
    if options.opencv in ("5", "all"):
        # After a run with OpenCV 4, what touches no picture would only be tested again.
        again = options.opencv == "all" and all(each.startswith("-") for each in arguments)
        left_out = [f"--ignore={name}" for name in WITHOUT_PICTURES] if again else []
        python = set_up("opencv5").python
        outcome.pytest("pytest with OpenCV 5", python, [*left_out, *arguments])
    return outcome.close()


def demo(arguments: list[str]) -> NoReturn:
    """Become ``edgevision demo``."""
    program = str(set_up("run").python.with_name("edgevision"))
    os.execv(program, [program, "demo", *arguments])


def bench(names: list[str]) -> int:
    """List the benchmarks, or run some and keep the JSON lines that they print."""
    scripts = {path.stem: path for path in sorted((ROOT / "tests" / "benchmarks").glob("[!_]*.py"))}
    unknown = set(names) - set(scripts) - {"all"}
    if unknown:
        known = ", ".join(scripts) or "none"
        fail(f"no such benchmark: {', '.join(sorted(unknown))}; there are: {known}")
    if not names:
        for name, path in scripts.items():
            summary = ast.get_docstring(ast.parse(path.read_text())) or ""
            print(f"{name:<24}{summary.splitlines()[0] if summary else ''}")
        print("\nRun one with: python3 dev.py bench NAME   (or several, or: all)")
        return 0
    python = set_up("dev").python
    failed = []
    chosen = list(scripts) if "all" in names else names
    for position, name in enumerate(chosen, 1):
        print(f"\n--- [{position}/{len(chosen)}] {name}", flush=True)
        begun_s = time.monotonic()
        measured = []
        command = [str(python), str(scripts[name])]
        with subprocess.Popen(command, cwd=str(ROOT), stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout or ():
                print(line, end="", flush=True)
                with contextlib.suppress(ValueError):
                    measured += [json.loads(line)] if line.startswith("{") else []
        if process.returncode:
            failed.append(name)
        print(f"--- {name}: {time.monotonic() - begun_s:.1f} s", flush=True)
        kept = OUT / "bench" / f"{name}.json"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps({"machine": machine(python), "measured": measured}, indent=1))
        print(f"kept in {kept.relative_to(ROOT)}")
    if failed:
        fail("Failed: " + ", ".join(failed))
    return 0


def machine(python: Path) -> dict[str, str]:
    """Return what a measurement depends on."""
    code = (
        "import cv2, numpy, platform as p;"
        "print(p.python_version(), cv2.__version__, numpy.__version__)"
    )
    versions = subprocess.check_output([str(python), "-c", code], text=True).split()
    processor = platform.machine()
    with contextlib.suppress(OSError):
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        processor = found.group(1) if found else processor
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cores": str(os.cpu_count()),
        "processor": processor,
        **dict(zip(("python", "opencv", "numpy"), versions, strict=True)),
    }


def lock(upgrade: bool) -> int:
    """Resolve requirements/*.txt from pyproject.toml, with hashes and without any address."""
    python = set_up("dev").python
    shared = [
        *(str(python), "-m", "uv", "pip", "compile", "--quiet", "--universal"),
        *("--python-version", "3.10", "--generate-hashes", "--no-annotate"),
        *("--custom-compile-command", "python3 dev.py lock"),
        *(["--upgrade"] if upgrade else []),
    ]
    run, build = ["pyproject.toml", "--group", "build"], ["--group", "build"]
    everything = [*run, "--group", "dev"]
    with tempfile.TemporaryDirectory() as folder:

        def written(name: str, text: str) -> str:
            path = Path(folder) / name
            path.write_text(text)
            return str(path)

        # The default is OpenCV 4: the wheel of OpenCV 5 has neither HOG nor cascades.
        four, five = written("4.txt", "opencv-python<5"), written("5.txt", "opencv-python>=5")
        jobs = [
            ("run.txt", [*run, "-c", four]),
            ("build.txt", [*build, "-c", "requirements/run.txt"]),
            ("dev.txt", [*everything, "-c", "requirements/run.txt"]),
            ("opencv5.txt", [*everything, "-c", five]),
        ]
        for position, (name, arguments) in enumerate(jobs, 1):
            say(f"[{position}/6] requirements/{name}")
            if call(*shared, *arguments, "-o", f"requirements/{name}"):
                return 1
        twins = [("headless.txt", "run.txt"), ("opencv5-headless.txt", "opencv5.txt")]
        for position, (name, twin) in enumerate(twins, 5):
            pinned = re.search(r"^opencv-python(==\S+)", (REQUIREMENTS / twin).read_text(), re.M)
            assert pinned, f"requirements/{twin} has no opencv-python"
            wanted = written(name, f"opencv-python-headless{pinned.group(1)}")
            say(f"[{position}/6] requirements/{name}")
            if call(*shared, "--no-deps", wanted, "-o", f"requirements/{name}"):
                return 1
    return 0


def main() -> int:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(
        prog="dev.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True
    commands.add_parser("demo", add_help=False, help="install what the demo needs and start it")
    tests = commands.add_parser(
        "test",
        help="install what the tests need and run every check",
        epilog="Anything else goes to pytest: a path, -k WORD, -x, and this project's own --gpu "
        "(a missing CUDA device is a failure), --vm (also run what needs a virtual machine) and "
        "--nothing-skipped (a skip is a failure).",
    )
    tests.add_argument("--opencv", choices=("4", "5", "all"), default="4", help="default: 4")
    tests.add_argument("--only-pytest", action="store_true", help="leave ruff and mypy out")
    benches = commands.add_parser("bench", help="list or run the benchmarks")
    benches.add_argument("names", nargs="*", metavar="NAME")
    commands.add_parser("setup", help="install what the tests need, run nothing")
    locks = commands.add_parser("lock", help="resolve the requirements again and hash them")
    locks.add_argument("--upgrade", action="store_true", help="take the newest versions")
    options, rest = parser.parse_known_args()
    if rest and options.command not in ("demo", "test"):
        parser.error("unknown arguments: " + " ".join(rest))
    if options.command == "demo":
        demo(rest)
    if options.command == "test":
        return test(options, rest)
    if options.command == "bench":
        return bench(options.names)
    if options.command == "lock":
        return lock(options.upgrade)
    set_up("dev")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
