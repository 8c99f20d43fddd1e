"""Precision, recall and time of each built-in stage on the synthetic walkway, for docs/stages.md.

The scenes are those of tests/unit/stages/cases.py, over all their seeds. The table goes into
docs/stages.md. There is no bare side to compare with: the truth is the other side.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from edgevision import stages
from tests.docs.stage_page import PAGE, with_measured
from tests.unit.stages.cases import CASES, Case
from tests.unit.stages.scoring import Score, score

_HEAD = (
    "| stage | scene | frames | things | precision | recall | ms |\n"
    "| --- | --- | --- | --- | --- | --- | --- |\n"
)


def measure(case: Case) -> Score:
    kind = stages.load(case.stage)
    return score(lambda: kind(**case.settings), case.scene, case.judge)


def row(case: Case, result: Score) -> str:
    settings = ", ".join(f"{name}: {value}" for name, value in case.settings.items())
    stage = f"`{case.stage}: {{{settings}}}`" if settings else f"`{case.stage}`"
    return (
        f"| {stage} | {case.what} | {result.frames} | {result.hits + result.misses} "
        f"| {result.precision:.3f} | {result.recall:.3f} | {result.mean_ms:.1f} |\n"
    )


def main() -> None:
    table = _HEAD
    for case in CASES:
        result = measure(case)
        line = row(case, result)
        table += line
        print(line, end="", flush=True)
        print(
            json.dumps(
                {
                    "stage": case.stage,
                    "settings": dict(case.settings),
                    "scene": case.what,
                    "precision": round(result.precision, 4),
                    "recall": round(result.recall, 4),
                    "ms": round(result.mean_ms, 2),
                }
            ),
            flush=True,
        )
    PAGE.write_text(with_measured(PAGE.read_text(encoding="utf-8"), table), encoding="utf-8")
    print(f"written into {PAGE.name}")


if __name__ == "__main__":
    main()
