"""Rows: channels, copies and geometry."""

from __future__ import annotations

from functools import partial

from edgevision.cv.operation import Operation, When

__all__ = ["ROWS"]

_row = partial(Operation, group="Channels, copies and geometry")

_NUMBERS = "8U 8S 16U 16S 32S 32F 64F"
_WARP = "8U 16U 16S 32F 64F"
_TRANSPARENT = (When("borderMode", equals="BORDER_TRANSPARENT"),)
_TRANSPARENT_NOTE = "BORDER_TRANSPARENT needs a dst: without one the pixels outside are undefined."
_MASK = (When("mask"),)

ROWS = (
    _row(
        "merge(mv[, dst]) -> dst",
        "One image of several channels.",
        cuda="merge",
        dtypes=_NUMBERS,
        channels=(1,),
    ),
    _row(
        "split(m[, mv]) -> mv",
        "A tuple of images, one for each channel.",
        cuda="split",
        pooled=("mv",),
        dtypes=_NUMBERS,
        channels=(1, 3, 4),
    ),
    _row(
        "extractChannel(src, coi[, dst]) -> dst",
        "One channel.",
        cuda="split",
        dtypes=_NUMBERS,
        channels=(3, 4),
        cuda_call="split, and one of its results",
    ),
    _row(
        "transpose(src[, dst]) -> dst",
        "Rows become columns.",
        cuda="transpose",
        dtypes=_NUMBERS,
        note="On CUDA an element has 1, 4 or 8 bytes, all channels together.",
    ),
    _row(
        "flip(src, flipCode[, dst]) -> dst",
        "Mirrored: upside down (0), left to right (1) or both (-1).",
        cuda="flip",
        dtypes=_NUMBERS,
        channels=(1, 3, 4),
    ),
    _row(
        "rotate(src, rotateCode[, dst]) -> dst",
        "Turned by 90, 180 or 270 degrees.",
        cuda="flip",
        dtypes=_NUMBERS,
        cuda_call="transpose and flip; cv2.cuda.rotate turns by any angle and is another function",
    ),
    _row(
        "copyMakeBorder(src, top, bottom, left, right, borderType[, dst[, value]]) -> dst",
        "A copy with a border.",
        cuda="copyMakeBorder",
        dtypes=_NUMBERS,
        channels=(1, 3, 4),
    ),
    _row(
        "copyTo(src, mask[, dst]) -> dst",
        "A copy of the pixels under the mask; the others are 0.",
        cuda="GpuMat.copyTo",
        dtypes=_NUMBERS,
        cleared=_MASK,
        cuda_call="mat.copyTo(mask, stream, dst)",
    ),
    _row(
        "setTo(image, value[, mask]) -> image",
        "Sets the pixels under the mask to a scalar, in the image itself.",
        cuda="GpuMat.setTo",
        pooled=(),
        dtypes=_NUMBERS,
        reference=True,
        cuda_call="mat.setTo(value, mask, stream)",
    ),
    _row(
        "blendLinear(src1, src2, weights1, weights2[, dst]) -> dst",
        "Weighted mean of two images with a weight for each pixel.",
        cuda="blendLinear",
        dtypes="8U 32F",
        channels=(1, 3, 4),
        cuda_call="blendLinear(img1, img2, weights1, weights2, result, stream)",
    ),
    _row(
        "alphaComp(img1, img2, alpha_op[, dst]) -> dst",
        "Composition of two images with an alpha channel (the last of four).",
        cuda="alphaComp",
        dtypes="8U 16U 32F",
        channels=(4,),
        reference=True,
        note="alpha_op counts from 0: over, in, out, atop, xor, plus, the same six for "
        "premultiplied images, and premultiplication of img1.",
    ),
    _row(
        "resize(src, dsize[, dst[, fx[, fy[, interpolation]]]]) -> dst",
        "Another size, given as (width, height) or by two factors.",
        cuda="resize",
        dtypes="8U 16U 16S 32F 64F",
        channels=(1, 3, 4),
    ),
    _row(
        "remap(src, map1, map2, interpolation[, dst[, borderMode[, borderValue]]]) -> dst",
        "Each pixel fetched from the place that two maps name.",
        cuda="remap",
        dtypes=_WARP,
        channels=(1, 3, 4),
        unpooled=_TRANSPARENT,
        cuda_call="both maps are 32F with one channel",
        note=_TRANSPARENT_NOTE,
    ),
    _row(
        "warpAffine(src, M, dsize[, dst[, flags[, borderMode[, borderValue]]]]) -> dst",
        "Moved, turned, scaled or sheared by a 2x3 matrix.",
        cuda="warpAffine",
        dtypes=_WARP,
        channels=(1, 3, 4),
        unpooled=_TRANSPARENT,
        note=_TRANSPARENT_NOTE,
    ),
    _row(
        "warpPerspective(src, M, dsize[, dst[, flags[, borderMode[, borderValue]]]]) -> dst",
        "Seen from elsewhere, by a 3x3 matrix.",
        cuda="warpPerspective",
        dtypes=_WARP,
        channels=(1, 3, 4),
        unpooled=_TRANSPARENT,
        note=_TRANSPARENT_NOTE,
    ),
    _row(
        "buildWarpAffineMaps(M, inverse, dsize[, xmap[, ymap]]) -> xmap, ymap",
        "The maps with which remap does what warpAffine does.",
        cuda="buildWarpAffineMaps",
        pooled=(),
        dtypes="",
        channels=(),
        reference=True,
        note="It has no image argument and runs on the CPU; upload the maps once.",
    ),
    _row(
        "buildWarpPerspectiveMaps(M, inverse, dsize[, xmap[, ymap]]) -> xmap, ymap",
        "The maps with which remap does what warpPerspective does.",
        cuda="buildWarpPerspectiveMaps",
        pooled=(),
        dtypes="",
        channels=(),
        reference=True,
        note="It has no image argument and runs on the CPU; upload the maps once.",
    ),
    _row(
        "pyrDown(src[, dst[, dstsize[, borderType]]]) -> dst",
        "Smoothed and halved.",
        cuda="pyrDown",
        dtypes="8U 16U 16S 32F 64F",
        channels=(1, 3, 4),
        cuda_call="pyrDown(src, dst, stream)",
    ),
    _row(
        "pyrUp(src[, dst[, dstsize[, borderType]]]) -> dst",
        "Doubled and smoothed.",
        cuda="pyrUp",
        dtypes="8U 16U 16S 32F 64F",
        channels=(1, 3, 4),
        cuda_call="pyrUp(src, dst, stream)",
    ),
    _row(
        "reprojectImageTo3D(disparity, Q[, _3dImage[, handleMissingValues[, ddepth]]]) -> _3dImage",
        "Points in space from a disparity image.",
        cuda="reprojectImageTo3D",
        pooled=("_3dImage",),
        dtypes="8U 16S 32S 32F",
        channels=(1,),
        cuda_call="reprojectImageTo3D(disp, Q, xyzw, dst_cn, stream)",
    ),
)
