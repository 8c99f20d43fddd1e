"""``edgevision doctor``: look at the machine, and say what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from edgevision.cli.output import Output
from edgevision.deploy.platforms import platform as find_platform
from edgevision.doctor import CHECKS, Finding, Machine, examine

__all__ = ["doctor"]

_COLORS = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def doctor(checks: Sequence[str], platform: str, outbox: Path, show: bool, output: Output) -> int:
    """Print what the checks find, and return 1 if there is a problem, else 0.

    Args:
        checks: names of checks; none for all.
        platform: row of the table of platforms; empty for the image's.
        outbox: the outbox's file.
        show: print the names of the checks instead.
        output: where to.

    Raises:
        ConfigurationError: there is no such check, or no such platform.
    """
    if show:
        for name, check in CHECKS.items():
            what = (check.__doc__ or "").partition("\n")[0]
            if output.data_is_json:
                output.data({"check": name, "what": what})
            else:
                print(f"{name:<12}{what}")
        return 0
    if platform:
        find_platform(platform)
    machine = Machine(platform=platform, outbox=outbox)
    counts = _print(examine(machine, checks), output)
    return 1 if counts["problem"] else 0


def _print(findings: Iterable[tuple[str, Finding]], output: Output) -> Counter[str]:
    counts: Counter[str] = Counter()
    for name, finding in findings:
        counts[finding.level] += 1
        if output.data_is_json:
            output.data({"check": name, **finding.to_json()})
        else:
            _show(name, finding, output)
    if output.data_is_json:
        output.data({level: counts[level] for level in _COLORS})
    else:
        print(f"problems: {counts['problem']}, warnings: {counts['warning']}, ok: {counts['ok']}")
    return counts


def _show(name: str, finding: Finding, output: Output) -> None:
    from rich.text import Text

    console = output.console()
    level = (f"{finding.level:<9}", _COLORS[finding.level])
    console.print(Text.assemble(level, (f"{name:<11}", "bold"), finding.seen))
    if finding.fix:
        console.print(Text.assemble(" " * 20, ("-> ", "bold"), finding.fix))
