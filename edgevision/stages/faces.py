"""The faces stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgevision import Detections, Frame, Param, Stage, cv
from edgevision.errors import ConfigurationError
from edgevision.stages.picture import reduced_wh, resized, to_gray, to_host

__all__ = ["Faces"]

_CASCADE = "haarcascade_frontalface_alt.xml"
# Where distributions put the cascades when OpenCV does not bring them.
_SYSTEM_FOLDERS = ("/usr/share/opencv4/haarcascades", "/usr/local/share/opencv4/haarcascades")
# The smallest face is looked for at this width in the reduced picture.
_FACE_PX = 24


class Faces(Stage):
    """Find faces that look into the camera.

    Adds a detection for each, labelled ``face``. Its confidence is n / (n + ``neighbors``), n being
    the number of windows that agree.

    Faces are found from ``min_size`` on, turned or tilted by no more than some 15 degrees. The
    picture is reduced so that a face of ``min_size`` is just large enough: twice the size is four
    times as fast. Another cascade file finds other things, such as profiles, eyes or cats.

    It needs OpenCV 4, or opencv-contrib-python 5: OpenCV 5's own package has no CascadeClassifier.

    Algorithm: boosted cascade of Haar-like features (P. Viola, M. Jones, CVPR 2001; R. Lienhart,
    J. Maydt, ICIP 2002) with the frontal face model that comes with OpenCV.
    """

    min_size: int = Param(40, ge=20, le=4000, unit="px", help="width of the smallest face")
    neighbors: int = Param(
        3, ge=1, le=100, help="windows that must agree; higher finds fewer, surer"
    )
    scale_step: float = Param(
        1.1, ge=1.01, le=2, help="ratio of one size looked for to the next; larger is faster"
    )
    equalize: bool = Param(False, help="spread the grey levels first, for dim pictures")
    cascade: Path | None = Param(
        None, live=False, help="cascade file to use in place of the frontal face"
    )
    label: str = Param("face", min_length=1, help="label of the detections")

    def start(self) -> None:
        """Load the cascade.

        Raises:
            ConfigurationError: there is no such file, it is no cascade, or this OpenCV has none.
        """
        path = self.cascade or _default_cascade()
        if not path.is_file():
            raise ConfigurationError(f"stage Faces: there is no cascade file {str(path)!r}")
        try:
            self._detector: Any = cv.CascadeClassifier(str(path))
        except (cv2.error, SystemError) as error:
            raise ConfigurationError(f"stage Faces: {str(path)!r} is no cascade file") from error
        if self._detector.empty():
            raise ConfigurationError(f"stage Faces: {str(path)!r} is no cascade file")

    def process(self, frame: Frame) -> None:
        """Find faces at all sizes."""
        scale = min(_FACE_PX / self.min_size, 1.0)
        size_wh = reduced_wh(frame.size_wh, scale)
        # cv2.cuda's cascade does not tell how many windows agree.
        gray = to_host(resized(to_gray(frame.image), size_wh))
        if self.equalize:
            gray = cv.equalizeHist(gray)
        smallest = round(self.min_size * scale)
        windows, agreeing = self._detector.detectMultiScale2(
            gray, self.scale_step, self.neighbors, minSize=(smallest, smallest)
        )
        if not len(windows):
            return
        box = np.asarray(windows, np.float32).reshape(-1, 4)
        box[:, 2:] += box[:, :2]
        count = np.asarray(agreeing, np.float32).ravel()
        found = Detections(box, count / (count + self.neighbors), self.label)
        width, height = frame.size_wh
        frame.add(found.scaled((width / size_wh[0], height / size_wh[1])))


def _default_cascade() -> Path:
    """Return the frontal face cascade of the OpenCV package, or of the system.

    Raises:
        ConfigurationError: there is none.
    """
    folders = [*_SYSTEM_FOLDERS]
    data = getattr(cv2, "data", None)
    if data is not None:
        folders.insert(0, data.haarcascades)
    for folder in folders:
        path = Path(folder) / _CASCADE
        if path.is_file():
            return path
    # Says what to install when the classifier itself is missing, too.
    cv.CascadeClassifier()
    raise ConfigurationError(
        f"stage Faces: this OpenCV {cv2.__version__} comes without {_CASCADE}: name a file with "
        "the parameter cascade (Debian: apt-get install opencv-data)"
    )
