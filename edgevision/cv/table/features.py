"""Rows: edges, corners, shapes, motion."""

from __future__ import annotations

from functools import partial

from edgevision.cv.operation import Operation, When

__all__ = ["ROWS"]

_row = partial(Operation, group="Edges, shapes and motion", channels=(1,))
_points = partial(_row, pooled=())


ROWS = (
    _row(
        "Canny(image, threshold1, threshold2[, edges[, apertureSize[, L2gradient]]]) -> edges",
        "Edges, 255 on 0.",
        cuda="createCannyEdgeDetector",
        cuda_types="8UC1",
        pooled=("edges",),
        dtypes="8U",
        channels=(1, 3),
        cuda_call="one channel; no gradients as input",
        note="Canny(dx, dy, threshold1, threshold2) is the other form; its result is pooled when "
        "threshold2 is given by name.",
        outliers=0.002,
    ),
    _points(
        "HoughLines(image, rho, theta, threshold[, lines[, srn[, stn[, min_theta[, max_theta]]]]])"
        " -> lines",
        "Lines as (rho, theta).",
        cuda="createHoughLinesDetector",
        cuda_types="8UC1",
        differs="The same lines in another order.",
        cuda_call="neither srn, stn nor angles; at most 4096 lines",
    ),
    _points(
        "HoughLinesP(image, rho, theta, threshold[, lines[, minLineLength[, maxLineGap]]]) -> "
        "lines",
        "Line segments as (x1, y1, x2, y2).",
        cuda="createHoughSegmentDetector",
        cuda_types="8UC1",
        differs="Another choice of segments.",
        cuda_call="at most 4096 segments",
    ),
    _points(
        "HoughCircles(image, method, dp, minDist[, circles[, param1[, param2[, minRadius"
        "[, maxRadius]]]]]) -> circles",
        "Circles as (x, y, radius).",
        cuda="createHoughCirclesDetector",
        cuda_types="8UC1",
        differs="Another choice of circles.",
        cuda_call="HOUGH_GRADIENT; at most 4096 circles",
    ),
    _row(
        "cornerHarris(src, blockSize, ksize, k[, dst[, borderType]]) -> dst",
        "Harris's measure of a corner, 32F.",
        cuda="createHarrisCorner",
        cuda_types="8UC1 32FC1",
        relative=1e-06,
        dtypes="8U 32F",
    ),
    _row(
        "cornerMinEigenVal(src, blockSize[, dst[, ksize[, borderType]]]) -> dst",
        "The lesser eigenvalue of the gradient matrix, 32F.",
        cuda="createMinEigenValCorner",
        cuda_types="8UC1 32FC1",
        relative=2e-06,
        dtypes="8U 32F",
    ),
    _points(
        "goodFeaturesToTrack(image, maxCorners, qualityLevel, minDistance[, corners[, mask[, "
        "blockSize"
        "[, useHarrisDetector[, k]]]]]) -> corners",
        "Strong corners as (x, y), strongest first.",
        cuda="createGoodFeaturesToTrackDetector",
        cuda_types="8UC1 32FC1",
        dtypes="8U 32F",
    ),
    _row(
        "matchTemplate(image, templ, method[, result[, mask]]) -> result",
        "How well a template fits at each place.",
        cuda="createTemplateMatching",
        cuda_types="8UC134 32FC134",
        relative=2e-05,
        pooled=("result",),
        dtypes="8U 32F",
        channels=(1, 3),
        cuda_call="no mask",
    ),
    _row(
        "connectedComponents(image[, labels[, connectivity[, ltype]]]) -> retval, labels",
        "Number of blobs, and the label of each pixel.",
        cuda="connectedComponents",
        cuda_types="8UC1",
        differs="The same blobs in another order, which changes from run to run.",
        pooled=("labels",),
        dtypes="8U",
        cuda_call="connectivity 8, 32S, from compute capability 7.5 on",
    ),
    _row(
        "connectedComponentsWithStats(image[, labels[, stats[, centroids[, connectivity[, "
        "ltype]]]]])"
        " -> retval, labels, stats, centroids",
        "Blobs with their boxes, areas and centres.",
        no_cuda="cv2.cuda labels but counts nothing: cv2.cuda.connectedComponents",
        pooled=("labels",),
        dtypes="8U",
    ),
    _row(
        "connectedComponentsWithAlgorithm(image, connectivity, ltype, ccltype[, labels])"
        " -> retval, labels",
        "Blobs, by an algorithm of choice.",
        cuda="connectedComponentsWithAlgorithm",
        cuda_types="8UC1",
        differs="The same blobs in another order, which changes from run to run.",
        pooled=("labels",),
        dtypes="8U",
        cuda_call="connectivity 8, 32S, cv2.cuda's one algorithm; from compute capability 7.5 on",
    ),
    _row(
        "distanceTransform(src, distanceType, maskSize[, dst[, dstType]]) -> dst",
        "Distance to the nearest zero.",
        no_cuda="cv2.cuda has none",
        dtypes="8U",
    ),
    _row(
        "calcOpticalFlowFarneback(prev, next, flow, pyr_scale, levels, winsize, iterations, poly_n,"
        " poly_sigma, flags) -> flow",
        "Motion of each pixel as (dx, dy), 32F.",
        cuda="FarnebackOpticalFlow_create",
        cuda_types="8UC1",
        relative=1e-3,
        pooled=("flow",),
        dtypes="8U",
        unpooled=(When("flags", bit="OPTFLOW_USE_INITIAL_FLOW"),),
        outliers=0.06,
    ),
    _points(
        "calcOpticalFlowPyrLK(prevImg, nextImg, prevPts, nextPts[, status[, err[, winSize[, "
        "maxLevel"
        "[, criteria[, flags[, minEigThreshold]]]]]]]) -> nextPts, status, err",
        "Motion of given points.",
        cuda="SparsePyrLKOpticalFlow_create",
        cuda_types="8UC134",
        differs="Another stopping rule: points end within a pixel of each other.",
        dtypes="8U",
        channels=(1, 3),
        cuda_call="points are arrays on the host, or GpuMats",
    ),
)
