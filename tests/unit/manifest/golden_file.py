"""The manifests that must stay the same to the byte.

``python -m tests.unit.manifest.golden_file`` writes them anew.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from edgevision.deploy import platforms
from edgevision.deploy.manifest.document import device_manifest
from edgevision.deploy.manifest.module_folder import read_module_folder
from tests.unit.manifest.conftest import SECRETS, write_folder

__all__ = ["CASES", "FOLDER", "text_of", "write"]

FOLDER = Path(__file__).parent / "golden"
CASES = [
    ("nano-r32.1", "devices", "webcam:0"),
    ("nano-r32.7", "runtime", "csi:0"),
    ("xavier-r35", "runtime", "rtsp://10.0.0.5/1"),
    ("orin-r36", "cdi", "webcam:0"),
    ("thor-r39", "devices", "rtsp://10.0.0.5/1"),
    ("x86_64-dgpu", "gpus", "rtsp://10.0.0.5/1"),
]
"""Platform, way to the GPU, address of the camera."""


def text_of(parent: Path, platform: str, gpu: str, camera: str) -> str:
    """Return a manifest as it is made today."""
    folder = read_module_folder(write_folder(parent, door=camera))
    row = platforms.platform(platform)
    made = device_manifest(folder, row, gpu=gpu, environment=SECRETS)
    return json.dumps(made, indent=2) + "\n"


def write() -> None:
    """Write all of them."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as parent:
        for platform, gpu, camera in CASES:
            text = text_of(Path(parent), platform, gpu, camera)
            (FOLDER / f"{platform}-{gpu}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
