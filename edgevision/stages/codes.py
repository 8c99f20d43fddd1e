"""The codes stage."""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision import Detections, Frame, Param, Stage, cv
from edgevision.stages.picture import to_gray

__all__ = ["Codes"]

# A QR code is straightened before it is read, to its size in the picture times the first of these
# factors and, if it cannot be read, times the second, within these limits, with a margin around it.
_FACTORS = (2.0, 1.3)
_SMALLEST_PX, _LARGEST_PX = 64, 512
_MARGIN = 0.28

_Dictionary = Literal[
    "4x4_50", "4x4_100", "4x4_250", "4x4_1000",
    "5x5_50", "5x5_100", "5x5_250", "5x5_1000",
    "6x6_50", "6x6_100", "6x6_250", "6x6_1000",
    "7x7_50", "7x7_100", "7x7_250", "7x7_1000",
    "aruco_original", "apriltag_16h5", "apriltag_25h9", "apriltag_36h10", "apriltag_36h11",
]  # fmt: skip


class Codes(Stage):
    """Read QR codes, ArUco markers and AprilTags.

    Adds a detection for each, labelled ``qr`` or ``aruco``, with what it says in ``data["text"]``
    (a marker's number) and its corners in ``data["corners_xy"]``: four points clockwise in pixels,
    from the code's own top left. With ``unread``, a QR code that is seen but cannot be read is
    reported too, with an empty text and confidence 0.5.

    A QR code needs about 2.5 pixels a module (55 px for the smallest), a 4x4 marker 20 px in all.

    Algorithm: markers by `cv2.aruco` (S. Garrido-Jurado et al., Pattern Recognition 47(6), 2014);
    QR codes are found by the same search for squares (`cv2.QRCodeDetectorAruco`), straightened,
    enlarged and then read, which reads smaller codes than reading them in place does.
    """

    qr: bool = Param(True, help="read QR codes")
    aruco: bool = Param(True, help="read ArUco markers or AprilTags")
    dictionary: _Dictionary = Param("4x4_50", live=False, help="which markers")
    unread: bool = Param(False, help="report QR codes that cannot be read, too")

    def start(self) -> None:
        """Make the detectors."""
        number = getattr(cv2.aruco, f"DICT_{self.dictionary.upper()}")
        self._markers = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(number))
        self._finder = cv2.QRCodeDetectorAruco()
        self._readers = (cv2.QRCodeDetector(), self._finder)

    def process(self, frame: Frame) -> None:
        """Find and read codes."""
        gray = to_gray(frame.host)
        if self.aruco:
            corners, numbers, _ = self._markers.detectMarkers(gray)
            if numbers is not None:
                texts = [str(number) for number in np.ravel(numbers).tolist()]
                frame.add(_rows("aruco", corners, texts))
        if self.qr and min(gray.shape) > 10:
            seen, points = self._finder.detectMulti(gray)
            if seen and points is not None:
                quads = np.asarray(points, np.float32).reshape(-1, 4, 2)
                texts = [self._read(gray, quad) for quad in quads]
                kept = [i for i, text in enumerate(texts) if text or self.unread]
                frame.add(_rows("qr", quads[kept], [texts[i] for i in kept]))

    def _read(self, gray: NDArray[Any], quad: NDArray[np.float32]) -> str:
        """Straighten a code and return what it says, "" when it cannot be read."""
        if not np.isfinite(quad).all() or cv2.contourArea(quad) < 1:
            return ""
        side = float(np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1).mean())
        for factor in _FACTORS:
            straight = _straightened(gray, quad, min(max(factor * side, _SMALLEST_PX), _LARGEST_PX))
            for reader in self._readers:
                text = str(reader.detectAndDecode(straight)[0])
                if text:
                    return text
        return ""


def _straightened(gray: NDArray[Any], quad: NDArray[np.float32], side: float) -> Any:
    """Return a code as a square of ``side`` px with a margin."""
    low, high = _MARGIN * side, (1 + _MARGIN) * side
    square = np.array([[low, low], [high, low], [high, high], [low, high]], np.float32)
    whole = round((1 + 2 * _MARGIN) * side)
    return cv.warpPerspective(
        gray,
        cv2.getPerspectiveTransform(quad, square),
        (whole, whole),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _rows(label: str, corners: Any, texts: list[str]) -> Detections:
    """Return the detections of codes with these corners, (N, 4, 2)."""
    quads = np.asarray(corners, np.float32).reshape(-1, 4, 2)
    box = np.concatenate([quads.min(axis=1), quads.max(axis=1)], axis=1)
    confidence = [1.0 if text else 0.5 for text in texts]
    return Detections(box, confidence, label, data={"text": texts, "corners_xy": quads})
