"""Rows: filters and detectors that are made once, as cv2.cuda has them, and their classes.

cv2 itself has functions instead; on the CPU these objects call them.
"""

from __future__ import annotations

from functools import partial

from edgevision.cv.operation import ObjectType, Operation

__all__ = ["ROWS", "TYPES"]

_filter = partial(
    Operation,
    group="Filters and detectors made once",
    pooled=(),
    dtypes="",
    channels=(),
    reference=True,
)
_method = partial(Operation, group="Methods", channels=(1,), reference=True)
_numbers = partial(_method, pooled=())

ROWS = (
    _filter(
        "createBoxFilter(srcType, dstType, ksize[, anchor[, borderMode[, borderVal]]]) -> Filter",
        "Mean over a rectangle: boxFilter.",
        cuda="createBoxFilter",
    ),
    _filter(
        "createGaussianFilter(srcType, dstType, ksize, sigma1[, sigma2[, rowBorderMode"
        "[, columnBorderMode]]]) -> Filter",
        "GaussianBlur.",
        cuda="createGaussianFilter",
    ),
    _filter(
        "createSobelFilter(srcType, dstType, dx, dy[, ksize[, scale[, rowBorderMode"
        "[, columnBorderMode]]]]) -> Filter",
        "Sobel.",
        cuda="createSobelFilter",
    ),
    _filter(
        "createScharrFilter(srcType, dstType, dx, dy[, scale[, rowBorderMode[, columnBorderMode]]])"
        " -> Filter",
        "Scharr.",
        cuda="createScharrFilter",
    ),
    _filter(
        "createDerivFilter(srcType, dstType, dx, dy, ksize[, normalize[, scale[, rowBorderMode"
        "[, columnBorderMode]]]]) -> Filter",
        "sepFilter2D with the kernels of getDerivKernels.",
        cuda="createDerivFilter",
    ),
    _filter(
        "createLaplacianFilter(srcType, dstType[, ksize[, scale[, borderMode[, borderVal]]]]) -> "
        "Filter",
        "Laplacian.",
        cuda="createLaplacianFilter",
    ),
    _filter(
        "createLinearFilter(srcType, dstType, kernel[, anchor[, borderMode[, borderVal]]]) -> "
        "Filter",
        "filter2D.",
        cuda="createLinearFilter",
    ),
    _filter(
        "createSeparableLinearFilter(srcType, dstType, rowKernel, columnKernel[, anchor"
        "[, rowBorderMode[, columnBorderMode]]]) -> Filter",
        "sepFilter2D.",
        cuda="createSeparableLinearFilter",
    ),
    _filter(
        "createMorphologyFilter(op, srcType, kernel[, anchor[, iterations]]) -> Filter",
        "morphologyEx.",
        cuda="createMorphologyFilter",
    ),
    _filter(
        "createBoxMaxFilter(srcType, ksize[, anchor[, borderMode[, borderVal]]]) -> Filter",
        "Maximum over a rectangle: dilate.",
        cuda="createBoxMaxFilter",
    ),
    _filter(
        "createBoxMinFilter(srcType, ksize[, anchor[, borderMode[, borderVal]]]) -> Filter",
        "Minimum over a rectangle: erode.",
        cuda="createBoxMinFilter",
    ),
    _filter(
        "createRowSumFilter(srcType, dstType, ksize[, anchor[, borderMode[, borderVal]]]) -> "
        "Filter",
        "Sum over a horizontal line.",
        cuda="createRowSumFilter",
    ),
    _filter(
        "createColumnSumFilter(srcType, dstType, ksize[, anchor[, borderMode[, borderVal]]]) -> "
        "Filter",
        "Sum over a vertical line.",
        cuda="createColumnSumFilter",
    ),
    _filter(
        "createMedianFilter(srcType, windowSize[, partition]) -> Filter",
        "medianBlur.",
        cuda="createMedianFilter",
    ),
    _filter(
        "createCannyEdgeDetector(low_thresh, high_thresh[, apperture_size[, L2gradient]])"
        " -> CannyEdgeDetector",
        "Canny.",
        cuda="createCannyEdgeDetector",
    ),
    _filter(
        "createHoughLinesDetector(rho, theta, threshold[, doSort[, maxLines]]) -> "
        "HoughLinesDetector",
        "HoughLines.",
        cuda="createHoughLinesDetector",
    ),
    _filter(
        "createHoughSegmentDetector(rho, theta, minLineLength, maxLineGap[, maxLines[, threshold]])"
        " -> HoughSegmentDetector",
        "HoughLinesP.",
        cuda="createHoughSegmentDetector",
    ),
    _filter(
        "createHoughCirclesDetector(dp, minDist, cannyThreshold, votesThreshold, minRadius, "
        "maxRadius"
        "[, maxCircles]) -> HoughCirclesDetector",
        "HoughCircles with HOUGH_GRADIENT.",
        cuda="createHoughCirclesDetector",
    ),
    _filter(
        "createGoodFeaturesToTrackDetector(srcType[, maxCorners[, qualityLevel[, minDistance[, "
        "blockSize"
        "[, useHarrisDetector[, harrisK]]]]]]) -> CornersDetector",
        "goodFeaturesToTrack.",
        cuda="createGoodFeaturesToTrackDetector",
    ),
    _filter(
        "createHarrisCorner(srcType, blockSize, ksize, k[, borderType]) -> CornernessCriteria",
        "cornerHarris.",
        cuda="createHarrisCorner",
    ),
    _filter(
        "createMinEigenValCorner(srcType, blockSize, ksize[, borderType]) -> CornernessCriteria",
        "cornerMinEigenVal.",
        cuda="createMinEigenValCorner",
    ),
    _filter(
        "createTemplateMatching(srcType, method[, user_block_size]) -> TemplateMatching",
        "matchTemplate.",
        cuda="createTemplateMatching",
    ),
    _filter("createLookUpTable(lut) -> LookUpTable", "LUT.", cuda="createLookUpTable"),
)

TYPES = (
    ObjectType(
        "Filter",
        "A filter with its parameters.",
        (_method("apply(src[, dst]) -> dst", "The filtered image.", cuda="Filter.apply"),),
        reference=True,
    ),
    ObjectType(
        "CannyEdgeDetector",
        "Canny with its parameters.",
        (
            _method(
                "detect(image[, edges]) -> edges",
                "Edges, 255 on 0.",
                cuda="CannyEdgeDetector.detect",
                pooled=("edges",),
            ),
        ),
        reference=True,
    ),
    ObjectType(
        "HoughLinesDetector",
        "HoughLines with its parameters.",
        (
            _numbers(
                "detect(src[, lines]) -> lines",
                "Lines as (rho, theta), (1, N, 2) 32F.",
                cuda="HoughLinesDetector.detect",
                differs="CUDA gives (2, N, 2): the second row holds the votes.",
            ),
        ),
        reference=True,
    ),
    ObjectType(
        "HoughSegmentDetector",
        "HoughLinesP with its parameters.",
        (
            _numbers(
                "detect(src[, lines]) -> lines",
                "Segments as (x1, y1, x2, y2), (1, N, 4) 32S.",
                cuda="HoughSegmentDetector.detect",
            ),
        ),
        reference=True,
    ),
    ObjectType(
        "HoughCirclesDetector",
        "HoughCircles with its parameters.",
        (
            _numbers(
                "detect(src[, circles]) -> circles",
                "Circles as (x, y, radius), (1, N, 3) 32F.",
                cuda="HoughCirclesDetector.detect",
            ),
        ),
        reference=True,
    ),
    ObjectType(
        "CornersDetector",
        "goodFeaturesToTrack with its parameters.",
        (
            _numbers(
                "detect(image[, corners[, mask]]) -> corners",
                "Corners as (x, y), (1, N, 2) 32F.",
                cuda="CornersDetector.detect",
                dtypes="8U 32F",
            ),
        ),
        reference=True,
    ),
    ObjectType(
        "CornernessCriteria",
        "cornerHarris or cornerMinEigenVal with its parameters.",
        (
            _method(
                "compute(src[, dst]) -> dst",
                "The measure of a corner, 32F.",
                cuda="CornernessCriteria.compute",
                dtypes="8U 32F",
            ),
        ),
        reference=True,
    ),
    ObjectType(
        "TemplateMatching",
        "matchTemplate with its method.",
        (
            _method(
                "match(image, templ[, result]) -> result",
                "How well the template fits at each place.",
                cuda="TemplateMatching.match",
                pooled=("result",),
                dtypes="8U 32F",
                channels=(1, 3),
            ),
        ),
        reference=True,
    ),
    ObjectType(
        "LookUpTable",
        "LUT with its table.",
        (
            _method(
                "transform(src[, dst]) -> dst",
                "Each byte replaced by the table's entry.",
                cuda="LookUpTable.transform",
                channels=(1, 3),
            ),
        ),
        reference=True,
    ),
)
