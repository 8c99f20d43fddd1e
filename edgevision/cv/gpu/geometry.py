"""CUDA adapters: channels, copies, geometry."""

# The names are those of OpenCV.
# ruff: noqa: N803

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np

from edgevision import arena as arenas
from edgevision.cv.gpu import native
from edgevision.cv.gpu.call import Adapter, GpuMat, pair, scratch
from edgevision.errors import ConfigurationError, CudaUnsupportedError

__all__ = ["ADAPTERS", "merge", "split"]

cuda: Any = cv2.cuda


_FLIPPED = (cv2.CV_8U, cv2.CV_16U, cv2.CV_32S, cv2.CV_32F)
_TRANSPOSED_BYTES = (1, 4, 8)


def _flip(stream: Any, src: Any, flipCode: int, dst: Any = None) -> Any:
    if (src.depth() not in _FLIPPED or src.channels() == 2) and native.usable():
        down, across = flipCode <= 0, flipCode != 0
        return native.turned(stream, src, dst, swaps=False, across=across, down=down)
    return cuda.flip(src, flipCode, dst, stream)


def _transpose(stream: Any, src: Any, dst: Any = None) -> Any:
    if src.elemSize() not in _TRANSPOSED_BYTES and native.usable():
        return native.turned(stream, src, dst, swaps=True)
    return cuda.transpose(src, dst, stream)


def _rotate(stream: Any, src: Any, rotateCode: int, dst: Any = None) -> Any:
    if rotateCode == cv2.ROTATE_180:
        return _flip(stream, src, -1, dst)
    if rotateCode not in (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_90_COUNTERCLOCKWISE):
        raise ConfigurationError(f"rotateCode is one of cv2.ROTATE_..., got {rotateCode}")
    clockwise = rotateCode == cv2.ROTATE_90_CLOCKWISE
    if native.usable():
        return native.turned(stream, src, dst, swaps=True, across=not clockwise, down=clockwise)
    turned = scratch("cuda rotate turned", lambda buffer: cuda.transpose(src, buffer, stream))
    return cuda.flip(turned, 1 if clockwise else 0, dst, stream)


def _copy_make_border(
    stream: Any,
    src: Any,
    top: int,
    bottom: int,
    left: int,
    right: int,
    borderType: int,
    dst: Any = None,
    value: Any = (0.0,) * 4,
) -> Any:
    return cuda.copyMakeBorder(src, top, bottom, left, right, borderType, dst, value, stream)


def _copy_to(stream: Any, src: Any, mask: Any, dst: Any = None) -> Any:
    if mask is None:
        return src.copyTo(stream, dst)
    if dst is None or dst.size() != src.size() or dst.type() != src.type():
        dst = GpuMat(src.size(), src.type())
    # The pixels that are not under the mask are left as they were.
    dst.setTo((0.0,) * 4, stream)
    return src.copyTo(mask, stream, dst)


def _set_to(stream: Any, image: Any, value: Any, mask: Any = None) -> Any:
    numbers = (float(value),) if isinstance(value, int | float) else tuple(map(float, value))
    color = (*numbers, 0.0, 0.0, 0.0, 0.0)[:4]
    if mask is None:
        image.setTo(color, stream)
    else:
        image.setTo(color, mask, stream)
    return image


def merge(stream: Any, mv: Any, dst: Any = None) -> Any:
    """Make one image of several channels."""
    # Without a GpuMat for the result cv2.cuda.merge gives an array.
    return cuda.merge(list(mv), GpuMat() if dst is None else dst, stream)


def split(stream: Any, m: Any, mv: Any = None) -> Any:
    """Return a tuple of images, one for each channel, in buffers of the arena."""
    arena = arenas.current()
    if arena is None or mv is not None:
        return tuple(cuda.split(m, mv, stream))
    buffers = [arena.take("cuda split") for _ in range(m.channels())]
    ready = [GpuMat() if buffer is None else buffer for buffer in buffers]
    planes = tuple(cuda.split(m, ready, stream))
    for plane in planes:
        arena.put("cuda split", plane)
    return planes


def _extract_channel(stream: Any, src: Any, coi: int, dst: Any = None) -> Any:
    if not 0 <= coi < src.channels():
        raise ConfigurationError(f"coi is 0 to {src.channels() - 1}, got {coi}")
    return split(stream, src)[coi].copyTo(stream, dst)


def _resize(
    stream: Any,
    src: Any,
    dsize: Any,
    dst: Any = None,
    fx: float = 0.0,
    fy: float = 0.0,
    interpolation: int = cv2.INTER_LINEAR,
) -> Any:
    """Resize with the pixel centres of cv2.

    cv2.cuda.resize puts the corners of the linear interpolation on the corners, half a pixel away
    from where cv2 has them, so linear interpolation is a warp here. Halving is the mean of four.
    """
    columns, rows = src.size()
    if dsize is None or tuple(dsize) == (0, 0):
        # The factors count as they are given, also where the size had to be rounded.
        width, height = round(columns * fx), round(rows * fy)
        sx, sy, size = 1.0 / fx, 1.0 / fy, (0, 0)
    else:
        width, height = int(dsize[0]), int(dsize[1])
        sx, sy, fx, fy, size = columns / width, rows / height, 0.0, 0.0, (width, height)
    if (width, height) == (columns, rows):
        return src.copyTo(stream, dst)
    if interpolation == cv2.INTER_NEAREST:
        return cuda.resize(src, size, dst, fx, fy, interpolation, stream)
    halved = (2 * width, 2 * height) == (columns, rows)
    if interpolation == cv2.INTER_AREA or (interpolation == cv2.INTER_LINEAR and halved):
        if width > columns or height > rows:
            raise CudaUnsupportedError("cv.resize on CUDA enlarges with INTER_LINEAR only")
        return cuda.resize(src, size, dst, fx, fy, cv2.INTER_AREA, stream)
    if interpolation == cv2.INTER_CUBIC and native.usable():
        enlarged = native.cubic(stream, src, (width, height), (sx, sy), dst)
        if enlarged is not None:
            return enlarged
    if interpolation != cv2.INTER_LINEAR:
        raise CudaUnsupportedError(
            "cv.resize on CUDA takes INTER_NEAREST, INTER_LINEAR and INTER_AREA, and INTER_CUBIC "
            f"of 8U, 16U, 16S and 32F from compute capability 7.5 on; got {interpolation}"
        )
    matrix = np.array([[sx, 0.0, 0.5 * sx - 0.5], [0.0, sy, 0.5 * sy - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cuda.warpAffine(
        src, matrix, (width, height), dst, flags, cv2.BORDER_REPLICATE, (0.0,) * 4, stream
    )


def _plain_border(name: str, border: int) -> None:
    if border != cv2.BORDER_DEFAULT:
        raise CudaUnsupportedError(f"cv.{name} on CUDA has the default border only, got {border}")


def _pyr_down(
    stream: Any,
    src: Any,
    dst: Any = None,
    dstsize: Any = None,
    borderType: int = cv2.BORDER_DEFAULT,
) -> Any:
    _plain_border("pyrDown", borderType)
    if dstsize is not None and tuple(dstsize) != (0, 0):
        raise CudaUnsupportedError("cv.pyrDown on CUDA halves, and takes no dstsize")
    return cuda.pyrDown(src, dst, stream)


def _pyr_up(
    stream: Any,
    src: Any,
    dst: Any = None,
    dstsize: Any = None,
    borderType: int = cv2.BORDER_DEFAULT,
) -> Any:
    _plain_border("pyrUp", borderType)
    if dstsize is not None and tuple(dstsize) != (0, 0):
        raise CudaUnsupportedError("cv.pyrUp on CUDA doubles, and takes no dstsize")
    return cuda.pyrUp(src, dst, stream)


_NO_VALUE = (0.0,) * 4


def _color(value: Any) -> tuple[float, ...]:
    if value is None:
        return _NO_VALUE
    given = (float(value),) if isinstance(value, int | float) else tuple(map(float, value))
    return (*given, *_NO_VALUE)[:4]


def _interpolation(name: str, flags: int) -> int:
    found = flags & cv2.INTER_MAX
    if found not in (cv2.INTER_NEAREST, cv2.INTER_LINEAR):
        raise CudaUnsupportedError(
            f"cv.{name} on CUDA takes INTER_NEAREST and INTER_LINEAR, got {found}: cv2.cuda's "
            "cubic is another function"
        )
    return found


def _shifted(stream: Any, one: Any, shift: float, key: str) -> Any:
    return scratch(
        f"cuda remap {key}",
        lambda buffer: cuda.addWithScalar(one, (shift,) * 4, buffer, None, -1, stream),
    )


def _rounding(stream: Any, src: Any, border: int, color: tuple[float, ...]) -> tuple[Any, float]:
    """Return a source and what to add to places so that cv2.cuda, which cuts off, rounds as cv2.

    It cuts off towards zero, so what lies half a pixel outside would come inside: a constant border
    gets a row and a column of its own.
    """
    if border != cv2.BORDER_CONSTANT:
        return src, 0.5
    framed = scratch(
        "cuda nearest framed",
        lambda buffer: cuda.copyMakeBorder(src, 1, 0, 1, 0, border, buffer, color, stream),
    )
    return framed, 1.5


def _remap(
    stream: Any,
    src: Any,
    map1: Any,
    map2: Any,
    interpolation: int,
    dst: Any = None,
    borderMode: int = cv2.BORDER_CONSTANT,
    borderValue: Any = None,
) -> Any:
    if map1.type() == cv2.CV_32FC2:
        map1, map2 = split(stream, map1)
    chosen = _interpolation("remap", interpolation)
    if chosen == cv2.INTER_NEAREST:
        src, shift = _rounding(stream, src, borderMode, _color(borderValue))
        map1 = _shifted(stream, map1, shift, "across")
        map2 = _shifted(stream, map2, shift, "down")
    return cuda.remap(src, map1, map2, chosen, dst, borderMode, _color(borderValue), stream)


# NPP takes over from cv2.cuda's own warp for some types with a constant border, and does not blend
# with the border. It does not for these.
_UNBLENDED = (cv2.CV_8UC1, cv2.CV_8UC4)


def _warp(name: str) -> Adapter:
    function = getattr(cuda, name)
    build = getattr(cuda, f"buildW{name[1:]}Maps")
    rows = 2 if name == "warpAffine" else 3

    def run(
        stream: Any,
        src: Any,
        M: Any,
        dsize: Any,
        dst: Any = None,
        flags: int = cv2.INTER_LINEAR,
        borderMode: int = cv2.BORDER_CONSTANT,
        borderValue: Any = None,
    ) -> Any:
        # dsize of 0 by 0 is the size of the source in cv2.
        size_wh = src.size() if tuple(dsize) == (0, 0) else tuple(dsize)
        chosen = _interpolation(name, flags)
        matrix = np.asarray(M, np.float64)
        color = _color(borderValue)
        constant = borderMode == cv2.BORDER_CONSTANT and src.type() not in _UNBLENDED
        if chosen == cv2.INTER_LINEAR and not constant:
            return function(src, matrix, size_wh, dst, flags, borderMode, color, stream)
        back = np.vstack([matrix, [0.0, 0.0, 1.0]]) if rows == 2 else matrix
        if not flags & cv2.WARP_INVERSE_MAP:
            back = np.linalg.inv(back)
        if chosen == cv2.INTER_NEAREST:
            src, shift = _rounding(stream, src, borderMode, color)
            back = np.array([[1.0, 0.0, shift], [0.0, 1.0, shift], [0.0, 0.0, 1.0]]) @ back
        maps = pair(
            f"cuda {name} map",
            (None, None),
            lambda first, second: build(
                back[:rows],
                True,
                size_wh,
                GpuMat() if first is None else first,
                GpuMat() if second is None else second,
                stream,
            ),
        )
        return cuda.remap(src, *maps, chosen, dst, borderMode, color, stream)

    return run


def _reproject(
    stream: Any,
    disparity: Any,
    Q: Any,
    _3dImage: Any = None,
    handleMissingValues: bool = False,
    ddepth: int = -1,
) -> Any:
    if handleMissingValues or ddepth not in (-1, cv2.CV_32F):
        raise CudaUnsupportedError(
            "cv.reprojectImageTo3D on CUDA gives 32F, and does not handle missing values"
        )
    return cuda.reprojectImageTo3D(disparity, np.asarray(Q, np.float32), _3dImage, 3, stream)


def _blend_linear(
    stream: Any, src1: Any, src2: Any, weights1: Any, weights2: Any, dst: Any = None
) -> Any:
    return cuda.blendLinear(src1, src2, weights1, weights2, dst, stream)


def _alpha_comp(stream: Any, img1: Any, img2: Any, alpha_op: int, dst: Any = None) -> Any:
    depth = img1.depth()
    if (depth == cv2.CV_8U and alpha_op == 12) or (depth == cv2.CV_32F and alpha_op in (5, 11)):
        raise CudaUnsupportedError(
            f"cv.alphaComp on CUDA differs from its definition for operation {alpha_op} on images "
            f"of depth {depth}"
        )
    return cuda.alphaComp(img1, img2, alpha_op, dst, stream)


ADAPTERS: dict[str, Callable[[], Adapter]] = {
    "flip": lambda: _flip,
    "transpose": lambda: _transpose,
    "rotate": lambda: _rotate,
    "copyMakeBorder": lambda: _copy_make_border,
    "copyTo": lambda: _copy_to,
    "setTo": lambda: _set_to,
    "merge": lambda: merge,
    "split": lambda: split,
    "extractChannel": lambda: _extract_channel,
    "resize": lambda: _resize,
    "pyrDown": lambda: _pyr_down,
    "pyrUp": lambda: _pyr_up,
    "remap": lambda: _remap,
    "warpAffine": partial(_warp, "warpAffine"),
    "warpPerspective": partial(_warp, "warpPerspective"),
    "reprojectImageTo3D": lambda: _reproject,
    "blendLinear": lambda: _blend_linear,
    "alphaComp": lambda: _alpha_comp,
}
"""By operation: gives its adapter."""
