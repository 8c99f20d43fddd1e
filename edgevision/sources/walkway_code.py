"""Boards with QR codes and ArUco markers on the synthetic walkway."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision.sources.walkway_canvas import Thing, place
from edgevision.sources.walkway_view import View

__all__ = ["Board", "board", "carried", "standing"]

DICTIONARY = cv2.aruco.DICT_4X4_50
"""The markers' dictionary."""

# Side of a code, of the white board around it, and height of the board's lower edge, in metres.
_CODE_M = 0.72
_BOARD_M = 0.98
_STAND_M = 0.20
# A carried board is held up on a pole, above everybody's head.
_HAND_M = 1.0
_CARRIED_M = 1.95
# Where boards stand: a share of half the picture's width, and metres away.
_PLACES = ((-0.50, 4.4), (0.52, 4.2), (0.02, 4.6), (-0.80, 5.2), (0.82, 5.0), (-0.24, 6.0))
_BOARD_PX = 258
_TRACK_ID = 200_000


class Board(NamedTuple):
    """A board with a code.

    Attributes:
        label: ``qr`` or ``aruco``.
        text: what the code says; an ArUco marker's number.
        track_id: identity.
        image: (h, w, 3) uint8 BGR, already multiplied by ``alpha``.
        alpha: (h, w) uint8.
        mask: (h, w) uint8, 255 on the code.
    """

    label: str
    text: str
    track_id: int
    image: NDArray[Any]
    alpha: NDArray[Any]
    mask: NDArray[Any]


def board(number: int, *, pole: bool) -> Board:
    """Return the board of a number from 0: even ones have a QR code, odd ones a marker.

    Args:
        number: of the board.
        pole: it is held up on a pole, else it stands on two legs.
    """
    if number % 2 == 0:
        label, text = "qr", f"WALKWAY {number // 2 + 1}"
        modules = cv2.QRCodeEncoder.create().encode(text)
        # The encoder draws a quiet zone, which the board's own margin already gives.
        rows = np.flatnonzero((modules == 0).any(axis=1))
        modules = modules[rows[0] : rows[-1] + 1, rows[0] : rows[-1] + 1]
    else:
        label, text = "aruco", str(number // 2 + 1)
        dictionary = cv2.aruco.getPredefinedDictionary(DICTIONARY)
        modules = cv2.aruco.generateImageMarker(dictionary, int(text), 6)
    side = _BOARD_PX
    code = round(side * _CODE_M / _BOARD_M)
    below = round(side * ((_CARRIED_M - _HAND_M) if pole else _STAND_M) / _BOARD_M)
    start = (side - code) // 2
    where = (slice(start, start + code), slice(start, start + code))
    drawn = cv2.resize(modules, (code, code), interpolation=cv2.INTER_NEAREST)
    image = np.zeros((side + below, side, 3), np.uint8)
    alpha, mask = np.zeros((2, side + below, side), np.uint8)
    image[:side] = 226
    alpha[:side] = 255
    image[where] = np.where(drawn > 127, 226, 34)[..., None]
    mask[where] = 255
    edge = max(side // 40, 1)
    cv2.rectangle(image, (0, 0), (side - 1, side - 1), (96, 72, 44), edge)
    half = max(side // 50, 1)
    for share in (0.5,) if pole else (0.10, 0.90):
        across = slice(round(share * side) - half, round(share * side) + half)
        image[side:, across] = (64, 84, 104) if pole else (70, 66, 62)
        alpha[side:, across] = 255
    return Board(label, text, _TRACK_ID + number, image, alpha, mask)


def standing(number: int, view: View) -> Thing:
    """Return board ``number`` on its place."""
    share, z = _PLACES[number % len(_PLACES)]
    x = share * view.half_width_m(z)
    return _thing(board(number, pole=False), x, z, _STAND_M, view)


def carried(item: Board, x: float, z: float, view: View) -> Thing:
    """Return a board that somebody at ``x``, ``z`` holds up in front."""
    return _thing(item, x, z - 0.01, _CARRIED_M, view)


def _thing(item: Board, x: float, z: float, base_m: float, view: View) -> Thing:
    """Put a board's lower edge ``base_m`` above the ground."""
    scale = view.px_per_m(z)
    foot_x, foot_y = view.ground_xy(x, z)
    left, top = foot_x - _BOARD_M / 2 * scale, foot_y - (base_m + _BOARD_M) * scale
    factor = scale * _BOARD_M / _BOARD_PX
    image, alpha, mask = item.image, item.alpha, item.mask
    if factor < 0.6:
        # Reduced by area first: sampling alone would make the modules uneven.
        size_wh = (round(alpha.shape[1] * factor), round(alpha.shape[0] * factor))
        image, alpha, mask = (
            cv2.resize(layer, size_wh, interpolation=cv2.INTER_AREA)
            for layer in (image, alpha, mask)
        )
        factor = 1.0
    matrix = np.array([[factor, 0, left], [0, factor, top]])
    paint = place(image, alpha, mask, matrix, (view.width, view.height))
    return Thing(z, paint, item.label, item.track_id, item.text, (_CODE_M * scale) ** 2)
