"""``edgevision new stage``: a stage file and a test of it, to begin with."""

from __future__ import annotations

import keyword
import re
import sys
from importlib.machinery import PathFinder
from pathlib import Path

from edgevision.cli.output import Output
from edgevision.errors import ConfigurationError

__all__ = ["new_stage"]

_STAGE = '''\
"""{title}."""

import cv2

from edgevision import Frame, Param, Stage, cv


class {class_name}(Stage):
    """{title}: boxes around what is bright."""

    threshold: int = Param(200, ge=0, le=255, help="grey level that counts as bright")
    min_area: int = Param(50, ge=1, unit="px", help="smaller areas are noise")

    def process(self, frame: Frame) -> None:
        gray = frame.image
        if frame.channels == 3:
            gray = cv.cvtColor(gray, cv2.COLOR_BGR2GRAY)
        _, mask = cv.threshold(gray, self.threshold, 255, cv2.THRESH_BINARY)
        found = frame.detect_blobs(mask, min_area=self.min_area, label="bright")
        frame.values["bright"] = len(found)
'''

_TEST = '''\
"""Run with: pytest test_{name}.py"""

import cv2
import numpy as np
from {name} import {class_name}

from edgevision import Frame, Pipeline
from edgevision.testing import check_stage


def test_it_keeps_the_rules_of_stages():
    check_stage({class_name})


def test_it_boxes_what_is_bright():
    image = np.full((120, 200, 3), 50, np.uint8)
    cv2.circle(image, (150, 40), 10, (255, 255, 255), -1)
    frame = Frame(image)
    with Pipeline([{class_name}(min_area=20)]) as pipeline:
        pipeline.process(frame)
        assert frame.values["bright"] == 1
        x, y = frame.detections.center_xy[0]
        assert abs(x - 150) < 2
        assert abs(y - 40) < 2
'''


def new_stage(name: str, folder: Path, output: Output) -> None:
    """Write ``name.py`` and ``test_name.py`` into ``folder``; nothing is overwritten.

    Raises:
        ConfigurationError: the name cannot be a module's, a file is there already, or the folder
            cannot be written.
    """
    module = _module_name(name)
    class_name = "".join(part.capitalize() for part in module.split("_"))
    title = module.replace("_", " ").strip().capitalize()
    values = {"name": module, "class_name": class_name, "title": title}
    files = {
        folder / f"{module}.py": _STAGE.format(**values),
        folder / f"test_{module}.py": _TEST.format(**values),
    }
    for path in files:
        if path.exists():
            raise ConfigurationError(f"{path} is there already; nothing was written")
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            with path.open("x", encoding="utf-8") as file:
                written.append(path)
                file.write(text)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise ConfigurationError(
            f"{error.filename or folder} cannot be written: {error.strerror}"
        ) from error
    stage, test = files
    use = f"{stage}" if stage.is_absolute() else f"./{stage}"
    commands = [f"edgevision run --source webcam:0 --stage {use}", f"pytest {test}"]
    if output.data_is_json:
        output.data({"stage": str(stage), "test": str(test), "class": class_name})
        return
    print(f"{stage}   the stage {class_name}\n{test}   its test\n\nNext:")
    for command in commands:
        print(f"  {command}")


def _module_name(name: str) -> str:
    """Return ``LineCounter``, ``line-counter`` or ``line_counter`` as the name of a module."""
    module = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()
    if not re.fullmatch(r"[a-z][a-z0-9_]*", module) or keyword.iskeyword(module):
        raise ConfigurationError(
            f"a stage cannot be called {name!r}: a name is letters a-z, digits and '_', begins "
            "with a letter and is no word of Python's"
        )
    if module.startswith("test_"):
        raise ConfigurationError(
            f"a stage cannot be called {name!r}: pytest would take it for a test"
        )
    if _is_installed(module):
        raise ConfigurationError(
            f"a stage cannot be called {name!r}: there is a module {module!r} already, which the "
            "file would hide"
        )
    return module


def _is_installed(module: str) -> bool:
    # Not in the current folder, which ``python -m edgevision`` puts in front.
    places = [place for place in sys.path if place not in ("", str(Path.cwd()))]
    return module in sys.stdlib_module_names or PathFinder.find_spec(module, places) is not None
