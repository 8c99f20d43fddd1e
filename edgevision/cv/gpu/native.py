"""Routes through edgevision's own kernels (`edgevision.cuda.kernel`).

Each gives cv2's result on the CPU, also where cv2.cuda's differs or takes fewer types, and each has
a way without for a card that does not take the kernels.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevision import arena as arenas
from edgevision.cuda.kernel import BLOCK_WH, Element, Launch, Plane, kernels
from edgevision.cv.gpu.call import GpuMat, cached, fitting, scratch

__all__ = [
    "Step",
    "compacted",
    "cubic",
    "gradients",
    "median",
    "morphology",
    "plan_morphology",
    "plane",
    "turned",
    "usable",
]

# By cv2's depth: the kernels' word for it, and the bytes of an element.
_TYPES = {
    cv2.CV_8U: ("8U", 1),
    cv2.CV_16U: ("16U", 2),
    cv2.CV_16S: ("16S", 2),
    cv2.CV_32F: ("32F", 4),
}
_TILE_WH = (64, 16)
_SHARED_BYTES = 48 * 1024  # what every card has
# A rectangle of more points is done as a line along and one down.
_LARGE_RECTANGLE = 25
_LARGEST_MEDIAN = 31


def usable() -> bool:
    """Tell whether the device takes the kernels."""
    return kernels().usable()


def plane(mat: Any) -> Plane:
    """Say where a GpuMat lies."""
    width, height = mat.size()
    return Plane(int(mat.cudaPtr()), mat.step, width, height, mat.channels())


class Step(NamedTuple):
    """One launch of the morphology kernel.

    Attributes:
        launch: the kernel with its elements.
        passes: 1 or 2.
        operations: bits of the passes that look for the largest.
        finish: what becomes of the result; see image.cu.
    """

    launch: Launch
    passes: int
    operations: int
    finish: int


def _points(shape: NDArray[Any], anchor: tuple[int, int]) -> list[tuple[int, int]]:
    height, width = shape.shape[:2]
    x = width // 2 if anchor[0] < 0 else anchor[0]
    y = height // 2 if anchor[1] < 0 else anchor[1]
    return [(int(j) - x, int(i) - y) for i, j in np.argwhere(shape != 0)]


def _elements(shape: NDArray[Any], anchor: tuple[int, int]) -> list[Element | None]:
    """Return what to do one after the other for one erosion or dilation."""
    points = _points(shape, anchor)
    if len(points) < shape.size or shape.size <= _LARGE_RECTANGLE or 1 in shape.shape[:2]:
        return [Element.of(points)]
    across = sorted({x for x, _ in points})
    down = sorted({y for _, y in points})
    return [Element.of([(x, 0) for x in across]), Element.of([(0, y) for y in down])]


def _shared_bytes(elements: list[Element], channels: int, size: int) -> int:
    """Return the shared memory that one or two passes need."""
    width, height = _TILE_WH
    total = 0
    for element in reversed(elements):
        width += (element.right - element.left) * channels
        height += element.bottom - element.top
        total += width * height * size
    return total


def _sequence(operation: int, count: int) -> tuple[list[int], int]:
    """Return erosions and dilations in order, and what becomes of the result (see image.cu)."""
    erode, dilate = cv2.MORPH_ERODE, cv2.MORPH_DILATE
    return {
        erode: ([erode] * count, 0),
        dilate: ([dilate] * count, 0),
        cv2.MORPH_OPEN: ([erode] * count + [dilate] * count, 0),
        cv2.MORPH_CLOSE: ([dilate] * count + [erode] * count, 0),
        cv2.MORPH_TOPHAT: ([erode] * count + [dilate] * count, 1),
        cv2.MORPH_BLACKHAT: ([dilate] * count + [erode] * count, 2),
    }.get(operation, ([], 0))


def plan_morphology(
    operation: int,
    depth: int,
    channels: int,
    shape: NDArray[Any],
    anchor: tuple[int, int],
    iterations: int,
) -> list[Step] | None:
    """Return the launches for an operation, None where the kernels do not take it."""
    if depth not in _TYPES or iterations < 1:
        return None
    suffix, size = _TYPES[depth]
    name = f"morphology_{suffix}"
    if operation == cv2.MORPH_GRADIENT:
        single = Element.of(_points(shape, anchor))
        needed = _shared_bytes([single], channels, size) if single else _SHARED_BYTES + 1
        if single is None or iterations > 1 or needed > _SHARED_BYTES:
            return None
        return [Step(kernels().launch(name, _TILE_WH, needed, (single, single)), 1, 0, 3)]
    order, finish = _sequence(operation, iterations)
    elements = _elements(shape, anchor)
    passes = [(step, element) for step in order for element in elements]
    if not passes:
        return None
    steps: list[Step] = []
    at = 0
    while at < len(passes):
        group = passes[at : at + 2]
        used = [element for _, element in group if element is not None]
        if len(used) < len(group):
            return None
        needed = _shared_bytes(used, channels, size)
        if needed > _SHARED_BYTES and len(group) == 2:
            group, used = group[:1], used[:1]
            needed = _shared_bytes(used, channels, size)
        if needed > _SHARED_BYTES:
            return None
        bits = sum(1 << i for i, (step, _) in enumerate(group) if step == cv2.MORPH_DILATE)
        launch = kernels().launch(name, _TILE_WH, needed, (used[0], used[-1]))
        steps.append(Step(launch, len(group), bits, 0))
        at += len(group)
    if finish:
        if len(steps) > 1:
            return None
        steps[0] = steps[0]._replace(finish=finish)
    return steps


def morphology(stream: Any, steps: list[Step], src: Any, dst: Any, key: str) -> Any:
    """Run the launches of `plan_morphology`."""
    pointer = int(stream.cudaPtr())
    in_place = dst is not None and dst.cudaPtr() == src.cudaPtr()
    arena = arenas.current()
    last = len(steps) - 1
    image = src
    for number, (launch, passes, operations, finish) in enumerate(steps):
        if number == last and not in_place:
            target = fitting(dst, src)
        else:
            lane = f"cuda {key} step {number}"
            target = fitting(None if arena is None else arena.take(lane), src)
            if arena is not None:
                arena.put(lane, target)
        launch(
            pointer,
            plane(image),
            plane(target),
            passes=passes,
            operations=operations,
            finish=finish,
        )
        image = target
    return image.copyTo(stream, dst) if in_place else image


def median(stream: Any, src: Any, side: int, dst: Any) -> Any:
    """Median over a square, None where the kernels do not take it."""
    known = _TYPES.get(src.depth())
    if known is None or (side > 5 and (known[0] != "8U" or side > _LARGEST_MEDIAN)):
        return None
    channels = src.channels()
    if side <= 5:
        launch = cached(stream, _plain_kernel, f"median{side}_{known[0]}")
    else:
        launch = cached(stream, _large_median, side, channels)
        if launch is None:
            return None

    def run(buffer: Any) -> Any:
        target = fitting(buffer, src)
        launch(int(stream.cudaPtr()), plane(src), plane(target), passes=side)
        return target

    if dst is not None and dst.cudaPtr() == src.cudaPtr():
        return scratch("cuda medianBlur apart", run).copyTo(stream, dst)
    return run(dst)


def _plain_kernel(name: str) -> Launch:
    """Prepare a kernel that computes one element in each thread."""
    return kernels().launch(name)


def _large_median(side: int, channels: int) -> Launch | None:
    border = side - 1
    needed = (BLOCK_WH[0] + border * channels) * (BLOCK_WH[1] + border)
    if needed > _SHARED_BYTES:
        return None
    return kernels().launch("median_8U", BLOCK_WH, needed)


def cubic(
    stream: Any, src: Any, size_wh: tuple[int, int], scale_xy: tuple[float, float], dst: Any
) -> Any:
    """Resize with cv2's bicubic interpolation, None where the kernels do not take the type."""
    known = _TYPES.get(src.depth())
    if known is None:
        return None
    launch = cached(stream, _plain_kernel, f"resize_cubic_{known[0]}")
    target = fitting(dst, src, size_wh=size_wh)
    launch(int(stream.cudaPtr()), plane(src), plane(target), scale_xy=scale_xy)
    return target


def turned(
    stream: Any, src: Any, dst: Any, *, swaps: bool, across: bool = False, down: bool = False
) -> Any:
    """Mirror and turn an image of any type.

    Args:
        stream: where.
        src: the image.
        dst: for the result, or None.
        swaps: rows become columns.
        across: the source's columns are read backwards.
        down: the source's rows are.
    """
    width, height = src.size()
    size_wh = (height, width) if swaps else (width, height)
    launch = cached(stream, _plain_kernel, "turn")
    in_place = dst is not None and dst.cudaPtr() == src.cudaPtr()
    bytes_each = src.elemSize()

    def run(buffer: Any) -> Any:
        target = fitting(buffer, src, size_wh=size_wh)
        launch(
            int(stream.cudaPtr()),
            plane(src)._replace(channels=bytes_each),
            plane(target)._replace(channels=bytes_each),
            operations=swaps + 2 * across + 4 * down,
        )
        return target

    return scratch("cuda turned", run).copyTo(stream, dst) if in_place else run(dst)


def gradients(stream: Any, src: Any, side: int, both: Any) -> None:
    """Write Sobel's derivatives of an 8UC1 image into a 32SC1 image.

    ``both`` has a border of one pixel around each of the two, that across above that down; the
    borders are left as they are.
    """
    width, height = src.size()
    launch = cached(stream, _plain_kernel, "gradients_8U")
    start = plane(both)
    first = Plane(start.pointer + start.step + 4, start.step, width, height, 1)
    launch(int(stream.cudaPtr()), plane(src), first, passes=side, finish=height + 2)


def compacted(stream: Any, labels: Any) -> int:
    """Number scattered labels (32S, above 0) from 1 on, in place; return how many there are.

    It waits for the stream. The order of the numbers differs from run to run.
    """
    columns, rows = labels.size()
    bound = rows * max(labels.step // 4, columns) + 2
    table = scratch("cuda labels table", lambda buffer: fitting(buffer, labels, size_wh=(bound, 1)))
    table.setTo((0.0,) * 4, stream)
    pointer = int(stream.cudaPtr())
    where = plane(labels)._replace(width=columns, height=rows)
    number = cached(stream, _plain_kernel, "number_labels")
    rename = cached(stream, _plain_kernel, "rename_labels")
    entries = plane(table)
    # The kernels cover the labels: `where` is the destination's extent in both.
    number(
        pointer,
        where._replace(width=bound),
        where._replace(pointer=entries.pointer),
    )
    rename(pointer, entries._replace(width=bound), where)
    count = GpuMat(table, (0, 0, 1, 1)).download(stream)
    stream.waitForCompletion()
    return int(count[0, 0])
