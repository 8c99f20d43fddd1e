"""Rows: colours and filters."""

from __future__ import annotations

from functools import partial

from edgevision.cv.operation import Operation

__all__ = ["ROWS"]

_color = partial(Operation, group="Colours and equalisation")
_filter = partial(Operation, group="Filters")

_FILTERED = "8U 16U 16S 32F 64F"
_ANY_CHANNELS = (1, 3, 4)

ROWS = (
    _color(
        "cvtColor(src, code[, dst[, dstCn]]) -> dst",
        "Another colour space.",
        cuda="cvtColor",
        cuda_types="8UC134 16UC134 32FC134",
        relative=2e-07,
        dtypes="8U 16U 32F",
        channels=_ANY_CHANNELS,
        cuda_call="cvtColor(src, code, dst, dcn, stream); the planar YUV codes are missing",
    ),
    _color(
        "demosaicing(src, code[, dst[, dstCn]]) -> dst",
        "Colours from a Bayer pattern.",
        cuda="demosaicing",
        cuda_types="8UC1 16UC1",
        differs="Another interpolation; the plain and MHT codes only.",
        dtypes="8U 16U",
        channels=(1,),
    ),
    _color(
        "equalizeHist(src[, dst]) -> dst",
        "Contrast stretched so that the histogram becomes flat.",
        cuda="equalizeHist",
        cuda_types="8UC1",
        dtypes="8U",
        channels=(1,),
    ),
    _color(
        "adaptiveThreshold(src, maxValue, adaptiveMethod, thresholdType, blockSize, C[, dst]) -> "
        "dst",
        "A threshold that follows the local mean.",
        no_cuda="cv2.cuda has none: cv2.cuda.createBoxFilter, subtract and threshold do the same",
        dtypes="8U",
        channels=(1,),
    ),
    _filter(
        "blur(src, ksize[, dst[, anchor[, borderType]]]) -> dst",
        "Mean over a rectangle.",
        cuda="createBoxFilter",
        cuda_types="8UC14 32FC1",
        steps=1,
        relative=4e-07,
        dtypes=_FILTERED,
        channels=_ANY_CHANNELS,
        cuda_call="createBoxFilter(srcType, dstType, ksize, anchor, borderMode).apply(src, dst, "
        "stream)",
    ),
    _filter(
        "boxFilter(src, ddepth, ksize[, dst[, anchor[, normalize[, borderType]]]]) -> dst",
        "Mean or sum over a rectangle.",
        cuda="createBoxFilter",
        cuda_types="8UC14 32FC1",
        steps=1,
        relative=4e-07,
        dtypes=_FILTERED,
        channels=_ANY_CHANNELS,
        cuda_call="the mean only, in the type of the image",
    ),
    _filter(
        "GaussianBlur(src, ksize, sigmaX[, dst[, sigmaY[, borderType]]]) -> dst",
        "Smoothed with a Gaussian.",
        cuda="createGaussianFilter",
        cuda_types="8UC134 16UC134 16SC134 32FC134",
        steps=2,
        relative=6e-07,
        dtypes=_FILTERED,
        channels=_ANY_CHANNELS,
        cuda_call="createGaussianFilter(srcType, dstType, ksize, sigma1, sigma2).apply(src, dst, "
        "stream); at most 32x32",
    ),
    _filter(
        "Sobel(src, ddepth, dx, dy[, dst[, ksize[, scale[, delta[, borderType]]]]]) -> dst",
        "Derivative with Sobel's kernel.",
        cuda="createSobelFilter",
        cuda_types="8UC134 16UC134 16SC134 32FC134",
        relative=2e-06,
        dtypes=_FILTERED,
        cuda_call="createSobelFilter(srcType, dstType, dx, dy, ksize, scale).apply(src, dst, "
        "stream); "
        "no delta",
        steps=2,
    ),
    _filter(
        "Scharr(src, ddepth, dx, dy[, dst[, scale[, delta[, borderType]]]]) -> dst",
        "First derivative with Scharr's kernel.",
        cuda="createScharrFilter",
        cuda_types="8UC134 16UC134 16SC134 32FC134",
        relative=3e-07,
        dtypes=_FILTERED,
        cuda_call="createScharrFilter(srcType, dstType, dx, dy, scale).apply(src, dst, stream); no "
        "delta",
    ),
    _filter(
        "Laplacian(src, ddepth[, dst[, ksize[, scale[, delta[, borderType]]]]]) -> dst",
        "Sum of the second derivatives.",
        cuda="createLaplacianFilter",
        cuda_types="8UC14 16UC14 16SC14 32FC14",
        dtypes=_FILTERED,
        cuda_call="ksize 1 or 3, no delta; through 32F where the result has another type",
    ),
    _filter(
        "filter2D(src, ddepth, kernel[, dst[, anchor[, delta[, borderType]]]]) -> dst",
        "Correlation with any kernel.",
        cuda="createLinearFilter",
        cuda_types="8UC14 16UC14 16SC14 32FC14",
        dtypes=_FILTERED,
        cuda_call="no delta; through 32F where the result has another type",
        steps=1,
    ),
    _filter(
        "sepFilter2D(src, ddepth, kernelX, kernelY[, dst[, anchor[, delta[, borderType]]]]) -> dst",
        "Correlation with a row kernel, then with a column kernel.",
        cuda="createSeparableLinearFilter",
        cuda_types="8UC134 16UC134 16SC134 32FC134",
        steps=1,
        relative=2e-07,
        dtypes=_FILTERED,
        cuda_call="createSeparableLinearFilter(srcType, dstType, rowKernel, columnKernel, anchor)"
        ".apply(src, dst, stream); no delta",
    ),
    _filter(
        "medianBlur(src, ksize[, dst]) -> dst",
        "Median over a square.",
        cuda="createMedianFilter",
        cuda_types="8UC134 16UC134 16SC134 32FC134",
        dtypes="8U 16U 16S 32F",
        channels=_ANY_CHANNELS,
        cuda_call="a kernel of edgevision's own, to 31 by 31; before compute capability 7.5 "
        "cv2.cuda's filter, of 8U with one channel",
    ),
    _filter(
        "bilateralFilter(src, d, sigmaColor, sigmaSpace[, dst[, borderType]]) -> dst",
        "Smoothed within edges.",
        cuda="bilateralFilter",
        cuda_types="8UC13 32FC13",
        relative=5e-07,
        dtypes="8U 32F",
        cuda_call="bilateralFilter(src, kernel_size, sigma_color, sigma_spatial, dst, borderMode, "
        "stream)",
    ),
    _filter(
        "erode(src, kernel[, dst[, anchor[, iterations[, borderType[, borderValue]]]]]) -> dst",
        "Minimum under a kernel.",
        cuda="createMorphologyFilter",
        cuda_types="8UC134 16UC134 16SC134 32FC134",
        dtypes=_FILTERED,
        channels=_ANY_CHANNELS,
        cuda_call="a kernel of edgevision's own; before compute capability 7.5 cv2.cuda's filter, "
        "of 8U and 32F with 1 or 4 channels",
    ),
    _filter(
        "dilate(src, kernel[, dst[, anchor[, iterations[, borderType[, borderValue]]]]]) -> dst",
        "Maximum under a kernel.",
        cuda="createMorphologyFilter",
        cuda_types="8UC134 16UC134 16SC134 32FC134",
        dtypes=_FILTERED,
        channels=_ANY_CHANNELS,
        cuda_call="a kernel of edgevision's own; before compute capability 7.5 cv2.cuda's filter, "
        "of 8U and 32F with 1 or 4 channels",
    ),
    _filter(
        "morphologyEx(src, op, kernel[, dst[, anchor[, iterations[, borderType[, borderValue]]]]])"
        " -> dst",
        "Opening, closing, gradient, top hat, black hat or hit-or-miss.",
        cuda="createMorphologyFilter",
        cuda_types="8UC134 16UC134 16SC134 32FC134",
        dtypes=_FILTERED,
        channels=_ANY_CHANNELS,
        cuda_call="as erode and dilate; no hit-or-miss",
    ),
    _filter(
        "pyrMeanShiftFiltering(src, sp, sr[, dst[, maxLevel[, termcrit]]]) -> dst",
        "Colours flattened by mean shift, on a pyramid.",
        cuda="meanShiftFiltering",
        cuda_types="8UC4",
        differs="A pixel may end in another mode.",
        dtypes="8U",
        channels=(3,),
        cuda_call="meanShiftFiltering: 8U with four channels, no pyramid (maxLevel 0)",
    ),
    _filter(
        "meanShiftFiltering(src, sp, sr[, dst[, criteria]]) -> dst",
        "Colours flattened by mean shift, of an image with four channels.",
        cuda="meanShiftFiltering",
        cuda_types="8UC4",
        differs="A pixel may end in another mode.",
        dtypes="8U",
        channels=(4,),
        reference=True,
        note="The fourth channel stays.",
    ),
    _filter(
        "fastNlMeansDenoising(src[, dst[, h[, templateWindowSize[, searchWindowSize]]]]) -> dst",
        "Noise removed by averaging similar patches.",
        cuda="fastNlMeansDenoising",
        cuda_types="8UC13",
        steps=1,
        dtypes="8U",
        channels=(1, 3),
        cuda_call="h is one number",
        note="With one h for each channel, fastNlMeansDenoising(src, [h, h, h]), the result is "
        "pooled "
        "when h is given by name.",
    ),
    _filter(
        "fastNlMeansDenoisingColored(src[, dst[, h[, hColor[, templateWindowSize"
        "[, searchWindowSize]]]]]) -> dst",
        "Noise removed in the Lab colour space.",
        cuda="fastNlMeansDenoisingColored",
        cuda_types="8UC3",
        steps=20,
        differs="The two convert to Lab otherwise.",
        dtypes="8U",
        channels=(3,),
    ),
)
