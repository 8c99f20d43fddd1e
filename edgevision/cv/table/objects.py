"""Rows: what makes objects, and the classes of these objects."""

from __future__ import annotations

from functools import partial

from edgevision.cv.operation import ObjectType, Operation, When

__all__ = ["ROWS", "TYPES"]

_row = partial(Operation, group="Objects", pooled=(), dtypes="", channels=())
_method = partial(Operation, group="Methods", channels=(1,))
_numbers = partial(_method, pooled=())

_CONTRIB = "opencv-contrib-python"

ROWS = (
    _row(
        "createBackgroundSubtractorMOG2([history[, varThreshold[, detectShadows]]])"
        " -> BackgroundSubtractorMOG2",
        "Background as a mixture of Gaussians for each pixel.",
        cuda="createBackgroundSubtractorMOG2",
    ),
    _row(
        "createBackgroundSubtractorKNN([history[, dist2Threshold[, detectShadows]]])"
        " -> BackgroundSubtractorKNN",
        "Background as the nearest of remembered samples.",
        no_cuda="cv2.cuda has none: cv2.cuda.createBackgroundSubtractorMOG2",
    ),
    _row(
        "createCLAHE([clipLimit[, tileGridSize]]) -> CLAHE",
        "Local histogram equalisation with limited contrast.",
        cuda="createCLAHE",
    ),
    _row(
        "FarnebackOpticalFlow_create([numLevels[, pyrScale[, fastPyramids[, winSize[, numIters[, "
        "polyN"
        "[, polySigma[, flags]]]]]]]]) -> FarnebackOpticalFlow",
        "Dense optical flow by polynomial expansion.",
        cuda="FarnebackOpticalFlow_create",
    ),
    _row(
        "DISOpticalFlow_create([preset]) -> DISOpticalFlow",
        "Dense optical flow by inverse search.",
        no_cuda="cv2.cuda has none: cv2.cuda.FarnebackOpticalFlow_create",
    ),
    _row(
        "SparsePyrLKOpticalFlow_create([winSize[, maxLevel[, crit[, flags[, minEigThreshold]]]]])"
        " -> SparsePyrLKOpticalFlow",
        "Optical flow of given points by Lucas and Kanade.",
        cuda="SparsePyrLKOpticalFlow_create",
        cuda_call="SparsePyrLKOpticalFlow_create(winSize, maxLevel, iters, useInitialFlow)",
    ),
    _row(
        "DensePyrLKOpticalFlow_create([winSize[, maxLevel[, iters[, useInitialFlow]]]])"
        " -> DensePyrLKOpticalFlow",
        "Optical flow of each pixel by Lucas and Kanade.",
        cuda="DensePyrLKOpticalFlow_create",
        reference=True,
        note="The CPU side tracks each pixel with calcOpticalFlowPyrLK and is slow.",
    ),
    _row(
        "HOGDescriptor([_winSize[, _blockSize[, _blockStride[, _cellSize[, _nbins[, _derivAperture"
        "[, _winSigma[, _histogramNormType[, _L2HysThreshold[, _gammaCorrection[, _nlevels"
        "[, _signedGradient]]]]]]]]]]]]) -> HOGDescriptor",
        "Histograms of oriented gradients, and a detector that slides over them.",
        cuda="HOG_create",
        cuda_call="HOG_create(win_size, block_size, block_stride, cell_size, nbins), and setters",
        package=_CONTRIB,
    ),
    _row(
        "CascadeClassifier([filename]) -> CascadeClassifier",
        "A cascade of boosted classifiers (Haar or LBP) from a file.",
        cuda="CascadeClassifier_create",
        package=_CONTRIB,
    ),
    _row(
        "BFMatcher([normType[, crossCheck]]) -> BFMatcher",
        "Nearest descriptors by trying all.",
        cuda="DescriptorMatcher_createBFMatcher",
    ),
    _row(
        "ORB_create([nfeatures[, scaleFactor[, nlevels[, edgeThreshold[, firstLevel[, WTA_K[, "
        "scoreType"
        "[, patchSize[, fastThreshold]]]]]]]]]) -> ORB",
        "Oriented corners with binary descriptors.",
        cuda="ORB_create",
    ),
    _row(
        "FastFeatureDetector_create([threshold[, nonmaxSuppression[, type]]]) -> "
        "FastFeatureDetector",
        "Corners by a ring of 16 pixels.",
        cuda="FastFeatureDetector_create",
    ),
    _row(
        "BFMatcher_create([normType[, crossCheck]]) -> BFMatcher",
        "Nearest descriptors by trying all.",
        cuda="DescriptorMatcher_createBFMatcher",
    ),
    _row(
        "StereoBM_create([numDisparities[, blockSize]]) -> StereoBM",
        "Disparity by block matching.",
        cuda="createStereoBM",
    ),
    _row(
        "StereoSGBM_create([minDisparity[, numDisparities[, blockSize[, P1[, P2[, disp12MaxDiff"
        "[, preFilterCap[, uniquenessRatio[, speckleWindowSize[, speckleRange[, mode]]]]]]]]]]])"
        " -> StereoSGBM",
        "Disparity by semi-global matching.",
        cuda="createStereoSGM",
        cuda_call="createStereoSGM(minDisparity, numDisparities, P1, P2, uniquenessRatio, mode)",
    ),
    _row(
        "createGeneralizedHoughBallard() -> GeneralizedHoughBallard",
        "A template found at any position.",
        cuda="createGeneralizedHoughBallard",
    ),
    _row(
        "createGeneralizedHoughGuil() -> GeneralizedHoughGuil",
        "A template found at any position, scale and angle.",
        cuda="createGeneralizedHoughGuil",
    ),
)

_OPTIONAL_MASK = "detect(image[, mask]) -> keypoints"

TYPES = (
    ObjectType(
        "BackgroundSubtractorMOG2",
        "Background as a mixture of Gaussians for each pixel.",
        (
            _method(
                "apply(image[, fgmask[, learningRate]]) -> fgmask",
                "255 where the image is foreground, 127 in shadows, else 0; learns on the way.",
                cuda="BackgroundSubtractorMOG2.apply",
                cuda_types="8UC134",
                differs="8UC4 differs in some pixels of a thousand.",
                pooled=("fgmask",),
                channels=(1, 3),
                cuda_call="apply(image, learningRate, stream, fgmask)",
            ),
        ),
    ),
    ObjectType(
        "BackgroundSubtractorKNN",
        "Background as the nearest of remembered samples.",
        (
            _method(
                "apply(image[, fgmask[, learningRate]]) -> fgmask",
                "255 where the image is foreground, 127 in shadows, else 0; learns on the way.",
                no_cuda="cv2.cuda has none: cv2.cuda.createBackgroundSubtractorMOG2",
                pooled=("fgmask",),
                channels=(1, 3),
            ),
        ),
    ),
    ObjectType(
        "CLAHE",
        "Local histogram equalisation with limited contrast.",
        (
            _method(
                "apply(src[, dst]) -> dst",
                "The equalised image.",
                cuda="CLAHE.apply",
                cuda_types="8UC1 16UC1",
                steps=1,
                dtypes="8U 16U",
                cuda_call="apply(src, stream, dst)",
            ),
        ),
    ),
    ObjectType(
        "FarnebackOpticalFlow",
        "Dense optical flow by polynomial expansion.",
        (
            _method(
                "calc(I0, I1, flow) -> flow",
                "Motion of each pixel as (dx, dy), 32F.",
                cuda="FarnebackOpticalFlow.calc",
                cuda_types="8UC1",
                relative=1e-3,
                outliers=0.06,
                pooled=("flow",),
                unpooled=(When("getFlags()", bit="OPTFLOW_USE_INITIAL_FLOW"),),
            ),
        ),
    ),
    ObjectType(
        "DISOpticalFlow",
        "Dense optical flow by inverse search.",
        (
            _numbers(
                "calc(I0, I1, flow) -> flow",
                "Motion of each pixel as (dx, dy), 32F. It starts from a given flow.",
                no_cuda="cv2.cuda has none: cv2.cuda.FarnebackOpticalFlow_create",
            ),
        ),
    ),
    ObjectType(
        "SparsePyrLKOpticalFlow",
        "Optical flow of given points by Lucas and Kanade.",
        (
            _numbers(
                "calc(prevImg, nextImg, prevPts, nextPts[, status[, err]]) -> nextPts, status, err",
                "Where the points went.",
                cuda="SparsePyrLKOpticalFlow.calc",
            ),
        ),
    ),
    ObjectType(
        "DensePyrLKOpticalFlow",
        "Optical flow of each pixel by Lucas and Kanade.",
        (
            _method(
                "calc(I0, I1, flow) -> flow",
                "Motion of each pixel as (dx, dy), 32F.",
                cuda="DensePyrLKOpticalFlow.calc",
                cuda_types="8UC1",
                differs="Where the picture is flat the two go their own ways.",
                pooled=("flow",),
                unpooled=(When("getUseInitialFlow()"),),
            ),
        ),
        reference=True,
    ),
    ObjectType(
        "HOGDescriptor",
        "Histograms of oriented gradients, and a detector that slides over them.",
        (
            _numbers(
                "compute(img[, winStride[, padding[, locations]]]) -> descriptors",
                "Descriptors of all windows.",
                cuda="HOG.compute",
                channels=(1, 3),
            ),
            _numbers(
                "detect(img[, hitThreshold[, winStride[, padding[, searchLocations]]]])"
                " -> foundLocations, weights",
                "Objects of the window's size.",
                cuda="HOG.detect",
                channels=(1, 3),
            ),
            _numbers(
                "detectMultiScale(img[, hitThreshold[, winStride[, padding[, scale[, groupThreshold"
                "[, useMeanshiftGrouping]]]]]]) -> foundLocations, foundWeights",
                "Objects of any size as (x, y, width, height).",
                cuda="HOG.detectMultiScale",
                channels=(1, 3),
                cuda_call="detectMultiScale(img), and setters for the rest; 8U with 1 or 4 "
                "channels",
            ),
        ),
        statics=("getDefaultPeopleDetector", "getDaimlerPeopleDetector"),
        package=_CONTRIB,
    ),
    ObjectType(
        "CascadeClassifier",
        "A cascade of boosted classifiers (Haar or LBP) from a file.",
        (
            _numbers(
                "detectMultiScale(image[, scaleFactor[, minNeighbors[, flags[, minSize[, "
                "maxSize]]]]])"
                " -> objects",
                "Objects as (x, y, width, height).",
                cuda="CascadeClassifier.detectMultiScale",
                channels=(1, 3),
                cuda_call="detectMultiScale(image, objects, stream), then convert(objects)",
            ),
            _numbers(
                "detectMultiScale2(image[, scaleFactor[, minNeighbors[, flags[, minSize[, "
                "maxSize]]]]])"
                " -> objects, numDetections",
                "Objects, and how many windows agreed on each.",
                no_cuda="cv2.cuda gives no counts: cv2.cuda.CascadeClassifier.detectMultiScale",
                channels=(1, 3),
            ),
            _numbers(
                "detectMultiScale3(image[, scaleFactor[, minNeighbors[, flags[, minSize[, maxSize"
                "[, outputRejectLevels]]]]]]) -> objects, rejectLevels, levelWeights",
                "Objects, and how far each got in the cascade.",
                no_cuda="cv2.cuda gives no levels: cv2.cuda.CascadeClassifier.detectMultiScale",
                channels=(1, 3),
            ),
        ),
        package=_CONTRIB,
    ),
    ObjectType(
        "ORB",
        "Oriented corners with binary descriptors.",
        (
            _numbers(_OPTIONAL_MASK, "Key points.", cuda="ORB.detectAsync", channels=(1, 3)),
            _numbers(
                "compute(image, keypoints[, descriptors]) -> keypoints, descriptors",
                "Descriptors of given key points.",
                cuda="ORB.computeAsync",
                channels=(1, 3),
            ),
            _numbers(
                "detectAndCompute(image, mask[, descriptors[, useProvidedKeypoints]])"
                " -> keypoints, descriptors",
                "Key points and their descriptors.",
                cuda="ORB.detectAndComputeAsync",
                channels=(1, 3),
            ),
        ),
    ),
    ObjectType(
        "FastFeatureDetector",
        "Corners by a ring of 16 pixels.",
        (_numbers(_OPTIONAL_MASK, "Key points.", cuda="FastFeatureDetector.detectAsync"),),
    ),
    ObjectType(
        "BFMatcher",
        "Nearest descriptors by trying all.",
        (
            _numbers(
                "match(queryDescriptors, trainDescriptors[, mask]) -> matches",
                "The nearest of the other descriptors for each.",
                cuda="DescriptorMatcher.match",
                dtypes="8U 32F",
            ),
            _numbers(
                "knnMatch(queryDescriptors, trainDescriptors, k[, mask[, compactResult]]) -> "
                "matches",
                "The k nearest for each.",
                cuda="DescriptorMatcher.knnMatch",
                dtypes="8U 32F",
            ),
            _numbers(
                "radiusMatch(queryDescriptors, trainDescriptors, maxDistance[, mask[, "
                "compactResult]])"
                " -> matches",
                "All within a distance for each.",
                cuda="DescriptorMatcher.radiusMatch",
                dtypes="8U 32F",
            ),
        ),
    ),
    ObjectType(
        "StereoBM",
        "Disparity by block matching.",
        (
            _method(
                "compute(left, right[, disparity]) -> disparity",
                "Disparity times 16, 16S.",
                cuda="StereoBM.compute",
                cuda_types="8UC1",
                differs="The disparity is in whole pixels, 8U.",
                pooled=("disparity",),
                cuda_call="compute(left, right, stream, disparity)",
            ),
        ),
    ),
    ObjectType(
        "StereoSGBM",
        "Disparity by semi-global matching.",
        (
            _method(
                "compute(left, right[, disparity]) -> disparity",
                "Disparity times 16, 16S.",
                cuda="StereoSGM.compute",
                pooled=("disparity",),
                channels=(1, 3),
                cuda_call="compute_with_stream(left, right, stream, disparity): 8U or 16U, one "
                "channel",
            ),
        ),
    ),
    ObjectType(
        "GeneralizedHoughBallard",
        "A template found at any position.",
        (
            _numbers("setTemplate(templ[, templCenter])", "The template.", cuda="setTemplate"),
            _numbers(
                "detect(image[, positions[, votes]]) -> positions, votes",
                "Where it is, as (x, y, scale, angle).",
                cuda="detect",
            ),
        ),
    ),
    ObjectType(
        "GeneralizedHoughGuil",
        "A template found at any position, scale and angle.",
        (
            _numbers("setTemplate(templ[, templCenter])", "The template.", cuda="setTemplate"),
            _numbers(
                "detect(image[, positions[, votes]]) -> positions, votes",
                "Where it is, as (x, y, scale, angle).",
                cuda="detect",
            ),
        ),
    ),
)
