"""Rows: numbers out of images. Their results are the caller's own, except the integral images."""

from __future__ import annotations

from functools import partial

from edgevision.cv.operation import Operation

__all__ = ["ROWS"]

_row = partial(Operation, group="Sums, norms and histograms", pooled=())

_NUMBERS = "8U 8S 16U 16S 32S 32F 64F"

ROWS = (
    _row(
        "sumElems(src) -> retval",
        "Sum of each channel.",
        cuda="sum",
        dtypes=_NUMBERS,
        cuda_call="sum(src, mask); calcSum leaves the result on the device",
        note="cv2 adds 32S with one channel in 32 bits and wraps; cv.sum does not.",
    ),
    _row(
        "sum(src[, mask]) -> retval",
        "Sum of each channel, of the pixels under the mask.",
        cuda="sum",
        dtypes=_NUMBERS,
        reference=True,
    ),
    _row(
        "absSum(src[, mask]) -> retval",
        "Sum of the absolute values of each channel.",
        cuda="absSum",
        dtypes=_NUMBERS,
        reference=True,
    ),
    _row(
        "sqrSum(src[, mask]) -> retval",
        "Sum of the squares of each channel.",
        cuda="sqrSum",
        dtypes=_NUMBERS,
        reference=True,
    ),
    _row(
        "mean(src[, mask]) -> retval",
        "Mean of each channel.",
        cuda="sum",
        dtypes=_NUMBERS,
        cuda_call="sum(src, mask) over the number of pixels",
    ),
    _row(
        "meanStdDev(src[, mean[, stddev[, mask]]]) -> mean, stddev",
        "Mean and standard deviation of each channel.",
        cuda="meanStdDev",
        dtypes=_NUMBERS,
        cuda_call="meanStdDev(src, mask) -> mean, stddev; 8U and 32F with one channel",
    ),
    _row(
        "norm(src1[, src2[, normType[, mask]]]) -> retval",
        "Norm of an image, or of the difference of two.",
        cuda="norm",
        dtypes=_NUMBERS,
        note="norm(src1, normType, mask) is the other form.",
    ),
    _row(
        "minMax(src[, mask]) -> minVal, maxVal",
        "Lowest and highest value.",
        cuda="minMax",
        dtypes=_NUMBERS,
        channels=(1,),
        reference=True,
    ),
    _row(
        "minMaxLoc(src[, mask]) -> minVal, maxVal, minLoc, maxLoc",
        "Lowest and highest value and where they are, as (x, y).",
        cuda="minMaxLoc",
        dtypes=_NUMBERS,
        channels=(1,),
        note="Of equal values the CPU names the first; CUDA names any.",
    ),
    _row(
        "countNonZero(src) -> retval",
        "How many elements are not zero.",
        cuda="countNonZero",
        dtypes=_NUMBERS,
        channels=(1,),
        cuda_call="with a stream it writes the number to a GpuMat",
    ),
    _row(
        "hasNonZero(src) -> retval",
        "Whether any element is not zero.",
        cuda="countNonZero",
        dtypes=_NUMBERS,
        channels=(1,),
    ),
    _row(
        "reduce(src, dim, rtype[, dst[, dtype]]) -> dst",
        "One row or one column: the sum, mean, maximum or minimum of all.",
        cuda="reduce",
        dtypes="8U 16U 16S 32F 64F",
        cuda_call="reduce(mtx, dim, reduceOp, vec, dtype, stream)",
    ),
    _row(
        "calcHist(images, channels, mask, histSize, ranges[, hist[, accumulate]]) -> hist",
        "Histogram of one or several channels, 32F.",
        cuda="calcHist",
        dtypes="8U 16U 32F",
        cuda_call="calcHist(src, mask, hist, stream): 256 bins of one 8U channel, as one row of "
        "32S",
    ),
    _row(
        "histEven(src, histSize, lowerLevel, upperLevel[, hist]) -> hist",
        "Histogram over even bins, one row of 32S.",
        cuda="histEven",
        dtypes="8U 16U 16S",
        channels=(1,),
        reference=True,
        note="The bins' borders are those of evenLevels.",
    ),
    _row(
        "histRange(src, levels[, hist]) -> hist",
        "Histogram over the bins between the given levels, one row of 32S.",
        cuda="histRange",
        dtypes="8U 16U 16S 32F",
        channels=(1,),
        reference=True,
    ),
    _row(
        "evenLevels(nLevels, lowerLevel, upperLevel[, levels]) -> levels",
        "nLevels integers from the lower to the upper level, one row of 32S.",
        cuda="evenLevels",
        dtypes="",
        channels=(),
        reference=True,
        note="It has no image argument and runs on the CPU.",
    ),
    _row(
        "integral(src[, sum[, sdepth]]) -> sum",
        "Integral image, one row and one column larger.",
        cuda="integral",
        pooled=("sum",),
        dtypes="8U 32F 64F",
        cuda_call="integral(src, sum, stream): 8U with one channel to 32S",
    ),
    _row(
        "integral2(src[, sum[, sqsum[, sdepth[, sqdepth]]]]) -> sum, sqsum",
        "Integral image, and that of the squares.",
        cuda="sqrIntegral",
        pooled=("sum", "sqsum"),
        dtypes="8U 32F 64F",
        cuda_call="integral and sqrIntegral: 8U with one channel",
    ),
    _row(
        "sqrIntegral(src[, sqsum]) -> sqsum",
        "Integral image of the squares, 64F.",
        cuda="sqrIntegral",
        pooled=("sqsum",),
        dtypes="8U",
        channels=(1,),
        reference=True,
    ),
    _row(
        "moments(array[, binaryImage]) -> retval",
        "Moments up to the third order.",
        cuda="moments",
        dtypes="8U 16U 16S 32F 64F",
        channels=(1,),
    ),
    _row(
        "calcBackProject(images, channels, hist, ranges, scale[, dst]) -> dst",
        "Each pixel replaced by its bin of a histogram.",
        no_cuda="cv2.cuda has none; of one 8U channel it is a look-up table: "
        "cv2.cuda.createLookUpTable",
        pooled=("dst",),
        dtypes="8U 16U 32F",
    ),
)
