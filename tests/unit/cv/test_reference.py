"""The functions that cv2 has not, against their definitions in NumPy."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest

from edgevision import cv
from edgevision.cv.table import OPERATIONS
from edgevision.errors import ConfigurationError
from tests.unit.cv.pictures import DTYPES, Image, Pictures, equal

OF_TYPE = {
    name: [
        pytest.param(Pictures(dtype, channels, region=region), id=f"{dtype}C{channels}")
        for dtype in row.dtypes.split()
        for channels in row.channels
        for region in (channels != 1,)
    ]
    for name, row in OPERATIONS.items()
    if row.reference
}


def wide(image: Image) -> Image:
    return image.astype(np.float64 if image.dtype.kind == "f" else np.int64)


def saturated(values: Image, kind: Any) -> Image:
    if np.issubdtype(kind, np.floating):
        return values.astype(kind)
    limits = np.iinfo(kind)
    return np.rint(values).clip(limits.min, limits.max).astype(kind)


@pytest.mark.parametrize("of", OF_TYPE["abs"])
def test_abs(of: Pictures) -> None:
    image = of.noise()
    assert equal(cv.abs(image), saturated(np.abs(wide(image)), image.dtype))


def test_abs_of_the_lowest_integer_saturates() -> None:
    image = np.full((3, 5), -32768, np.int16)
    assert (cv.abs(image) == 32767).all()


@pytest.mark.parametrize("of", OF_TYPE["sqr"])
def test_sqr(of: Pictures) -> None:
    image = of.noise()
    expected = image * image if of.dtype == "32F" else saturated(wide(image) ** 2, image.dtype)
    assert equal(cv.sqr(image), expected)


@pytest.mark.parametrize("of", OF_TYPE["lshift"])
def test_lshift(of: Pictures) -> None:
    image = of.noise()
    bits = [1, 3, 5][: of.channels]
    expected = (wide(image) << np.array(bits)).astype(image.dtype)
    assert equal(cv.lshift(image, (1, 3, 5, 7)), expected)
    assert equal(cv.lshift(image, 2), (wide(image) << 2).astype(image.dtype))


@pytest.mark.parametrize("of", OF_TYPE["rshift"])
def test_rshift(of: Pictures) -> None:
    image = of.noise()
    bits = [1, 3, 5][: of.channels]
    assert equal(
        cv.rshift(image, (1, 3, 5, 7)), (wide(image) >> np.array(bits)).astype(image.dtype)
    )
    assert equal(cv.rshift(image, 2), (wide(image) >> 2).astype(image.dtype))


@pytest.mark.parametrize("bits", [-1, 8, (0, 9, 0)])
def test_a_shift_out_of_the_element_is_refused(bits: Any) -> None:
    with pytest.raises(ConfigurationError, match="a shift of uint8 is 0 to 7 bits"):
        cv.lshift(Pictures("8U", 3).noise(), bits)


def test_a_shift_of_floating_point_numbers_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="a shift needs integers, got float32"):
        cv.rshift(Pictures("32F").noise(), 1)


@pytest.mark.parametrize("of", OF_TYPE["magnitudeSqr"])
def test_magnitude_sqr(of: Pictures) -> None:
    x, y = of.noise(1), of.noise(2)
    np.testing.assert_allclose(cv.magnitudeSqr(x, y), x * x + y * y, rtol=3e-7)


@pytest.mark.parametrize("target", ["8U", "16U", "16S", "32S", "32F", "64F"])
@pytest.mark.parametrize("of", OF_TYPE["convertTo"])
def test_convert_to(of: Pictures, target: str) -> None:
    image = of.noise()
    depth = getattr(cv2, f"CV_{target}")
    kind = DTYPES[target]
    # 32-bit integers pass through float on the way, as they do in Mat.convertTo and on CUDA.
    loose = of.dtype == "32S" or (of.dtype == "64F" and target == "32F")
    for alpha, beta in ((1.0, 0.0), (0.5, 0.0), (0.25, 3.0)):
        got = cv.convertTo(image, depth, alpha=alpha, beta=beta)
        expected = saturated(image.astype(np.float64) * alpha + beta, kind)
        assert got.dtype == expected.dtype
        if loose or of.dtype == "32F":
            scale = max(1.0, float(np.abs(expected.astype(np.float64)).max()))
            off = np.abs(got.astype(np.float64) - expected.astype(np.float64)).max()
            assert off <= max(1.0 if np.issubdtype(kind, np.integer) else 0.0, scale * 1.2e-7)
        else:
            assert equal(got, expected), (alpha, beta)


def test_convert_to_keeps_infinities_and_takes_a_full_type() -> None:
    image = np.array([[np.inf, -np.inf, 1.5, -2.0]], np.float32)
    got = cv.convertTo(image, cv2.CV_64F, alpha=2.0, beta=1.0)
    assert got.tolist() == [[np.inf, -np.inf, 4.0, -3.0]]
    colours = Pictures("8U", 3).noise()
    assert cv.convertTo(colours, cv2.CV_32FC3).dtype == np.float32
    assert equal(cv.convertTo(colours, -1), colours)


@pytest.mark.parametrize("of", OF_TYPE["mulAndScaleSpectrums"])
def test_mul_and_scale_spectrums(of: Pictures) -> None:
    a, b = of.noise(1), of.noise(2)
    left, right = a[..., 0] + 1j * a[..., 1], b[..., 0] + 1j * b[..., 1]
    for conjugate in (False, True):
        got = cv.mulAndScaleSpectrums(a, b, 0, 0.5, conjB=conjugate)
        expected = left * (right.conj() if conjugate else right) * 0.5
        np.testing.assert_allclose(got[..., 0] + 1j * got[..., 1], expected, atol=1e-5)


@pytest.mark.parametrize("of", OF_TYPE["sum"])
def test_the_sums(of: Pictures) -> None:
    image = of.noise()
    for mask in (None, of.mask()):
        pixels = wide(image).reshape(-1, of.channels)
        if mask is not None:
            pixels = pixels[mask.reshape(-1) != 0]
        pixels = pixels.astype(np.float64)
        for got, values in (
            (cv.sum(image, mask), pixels),
            (cv.absSum(image, mask), np.abs(pixels)),
            (cv.sqrSum(image, mask), pixels**2),
        ):
            assert len(got) == 4
            expected = np.zeros(4)
            expected[: of.channels] = values.sum(0)
            np.testing.assert_allclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize("of", OF_TYPE["minMax"])
def test_min_max(of: Pictures) -> None:
    image, mask = of.noise(), of.mask()
    assert cv.minMax(image) == (image.min(), image.max())
    assert cv.minMax(image, mask) == (image[mask != 0].min(), image[mask != 0].max())


@pytest.mark.parametrize(
    ("count", "low", "high", "expected"),
    [
        (5, 0, 256, [0, 64, 128, 192, 256]),
        (4, 10, 111, [10, 44, 78, 111]),
        (8, 3, 240, [3, 37, 71, 105, 139, 173, 207, 240]),
        (11, 0, 256, [0, 26, 52, 78, 104, 130, 156, 181, 206, 231, 256]),
        (4, -7, 8, [-7, -2, 3, 8]),
    ],
)
def test_even_levels_are_those_of_npp(count: int, low: int, high: int, expected: list[int]) -> None:
    """The expected values are what cv2.cuda.evenLevels gave on an H100."""
    levels = cv.evenLevels(count, low, high)
    assert levels.tolist() == [expected]
    assert levels.dtype == np.int32


@pytest.mark.parametrize("of", OF_TYPE["histRange"])
def test_hist_range(of: Pictures) -> None:
    image = of.noise()
    borders = [-1.5, -0.5, 0.0, 0.25, 1.5] if of.dtype == "32F" else [-5, 3, 3, 90, 200, 70000]
    kind = np.float32 if of.dtype == "32F" else np.int32
    got = cv.histRange(image, np.array([borders], kind))
    expected = [int(((image >= low) & (image < high)).sum()) for low, high in pairwise(borders)]
    assert got.tolist() == [expected]
    assert got.dtype == np.int32


@pytest.mark.parametrize("of", OF_TYPE["histEven"])
def test_hist_even(of: Pictures) -> None:
    image = of.noise()
    got = cv.histEven(image, 7, 3, 240)
    assert equal(got, cv.histRange(image, cv.evenLevels(8, 3, 240)))
    assert got.sum() == ((image >= 3) & (image < 240)).sum()


def test_hist_counts_the_last_value_of_a_type() -> None:
    image = np.array([[0, 255, 255]], np.uint8)
    assert cv.histEven(image, 2, 0, 256).tolist() == [[1, 2]]
    assert cv.histEven(image, 2, 0, 255).tolist() == [[1, 0]]


@pytest.mark.parametrize("of", OF_TYPE["sqrIntegral"])
def test_sqr_integral(of: Pictures) -> None:
    image = of.noise()
    got = cv.sqrIntegral(image)
    assert got.dtype == np.float64
    assert equal(got[1:, 1:].copy(), (wide(image) ** 2).cumsum(0).cumsum(1).astype(np.float64))
    assert not got[0].any()
    assert not got[:, 0].any()


@pytest.mark.parametrize("of", OF_TYPE["setTo"])
def test_set_to(of: Pictures) -> None:
    image, mask = of.noise(), of.mask()
    before = image.copy()
    same = cv.setTo(image, (1, 2, 3), mask)
    assert same is image
    pixel = np.array([1, 2, 3], image.dtype)[: of.channels]
    pixels, flat = image.reshape(-1, of.channels), mask.reshape(-1)
    assert (pixels[flat != 0] == pixel).all()
    assert np.array_equal(pixels[flat == 0], before.reshape(-1, of.channels)[flat == 0])
    cv.setTo(image, 7)
    first = image if of.channels == 1 else image[..., 0]
    assert (first == 7).all()
    assert of.channels == 1 or not image[..., 1:].any()


def test_set_to_rounds_and_saturates() -> None:
    image = np.zeros((2, 3, 3), np.uint8)
    cv.setTo(image, (300, -4, 2.6))
    assert (image == [255, 0, 3]).all()


@pytest.mark.parametrize("inverse", [False, True])
def test_maps_of_a_warp_lead_where_the_matrix_does(inverse: bool) -> None:
    matrix = np.array([[0.9, 0.2, 3.0], [-0.1, 1.1, -2.0], [0.001, 0.0005, 1.0]])
    to_source = matrix if inverse else np.linalg.inv(matrix)
    for maps, given, leads in (
        (cv.buildWarpPerspectiveMaps(matrix, inverse, (31, 23)), matrix, to_source),
        (
            cv.buildWarpAffineMaps(matrix[:2], inverse, (31, 23)),
            np.vstack([matrix[:2], [0, 0, 1]]),
            None,
        ),
    ):
        if leads is None:
            leads = given if inverse else np.linalg.inv(given)
        xmap, ymap = maps
        assert xmap.shape == ymap.shape == (23, 31)
        assert xmap.dtype == ymap.dtype == np.float32
        for x, y in ((0, 0), (30, 0), (0, 22), (17, 9)):
            place = leads @ np.array([x, y, 1.0])
            np.testing.assert_allclose(
                [xmap[y, x], ymap[y, x]], place[:2] / place[2], rtol=1e-5, atol=1e-5
            )


def test_maps_do_with_remap_what_the_warp_does() -> None:
    image = Pictures("8U", 3).noise()
    turn = np.array([[0.0, -1.0, 40.0], [1.0, 0.0, 2.0]])
    maps = cv.buildWarpAffineMaps(turn, False, (53, 37))
    warped = cv.warpAffine(image, turn, (53, 37), flags=cv2.INTER_NEAREST)
    assert equal(cv.remap(image, *maps, cv2.INTER_NEAREST), warped)


def test_mean_shift_filtering() -> None:
    image = Pictures("8U", 4).scene()
    got = cv.meanShiftFiltering(image, 5, 20)
    bgr = np.ascontiguousarray(image[..., :3])
    assert equal(got[..., :3].copy(), cv2.pyrMeanShiftFiltering(bgr, 5, 20, None, 0))
    assert equal(got[..., 3].copy(), image[..., 3].copy())


OVER, IN, OUT, ATOP, XOR, PLUS = range(6)
PREMUL = 12


def uniform(colour: tuple[float, ...], kind: Any = np.float32) -> Image:
    return np.full((3, 5, 4), colour, kind)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (OVER, (0.4 * 0.5 + 0.5 * 0.8 * 0.25, 0.5 + 0.5 * 0.25)),
        (IN, (0.4 * 0.5 * 0.25, 0.5 * 0.25)),
        (OUT, (0.4 * 0.5 * 0.75, 0.5 * 0.75)),
        (ATOP, (0.4 * 0.5 * 0.25 + 0.5 * 0.8 * 0.25, 0.25)),
        (XOR, (0.4 * 0.5 * 0.75 + 0.5 * 0.8 * 0.25, 0.5 * 0.75 + 0.5 * 0.25)),
        (PLUS, (0.4 * 0.5 + 0.8 * 0.25, 0.75)),
    ],
)
def test_alpha_compositions(operation: int, expected: tuple[float, float]) -> None:
    front, back = uniform((0.4, 0.4, 0.4, 0.5)), uniform((0.8, 0.8, 0.8, 0.25))
    colour, alpha = expected
    got = cv.alphaComp(front, back, operation)
    np.testing.assert_allclose(got, uniform((colour, colour, colour, alpha)), rtol=1e-6)
    multiplied = cv.alphaComp(
        cv.alphaComp(front, back, PREMUL), cv.alphaComp(back, front, PREMUL), operation + 6
    )
    np.testing.assert_allclose(multiplied, got, rtol=1e-6)


@pytest.mark.parametrize(("kind", "whole"), [(np.uint8, 255), (np.uint16, 65535)])
def test_alpha_of_integers_reaches_from_zero_to_the_highest(kind: Any, whole: int) -> None:
    front = uniform((10, 20, 30, whole), kind)
    back = uniform((40, 50, 60, 0), kind)
    assert equal(cv.alphaComp(front, back, OVER), front)
    assert not cv.alphaComp(back, front, IN)[..., :].any()
    half = uniform((100, 100, 100, round(whole / 2)), kind)
    assert (np.abs(cv.alphaComp(half, back, PREMUL)[..., :3].astype(int) - 50) <= 1).all()


def test_alpha_compositions_are_those_of_cuda() -> None:
    """The expected pixels are what cv2.cuda.alphaComp gave on an H100; it rounds by one."""
    front, back = uniform((40, 80, 120, 128), np.uint8), uniform((200, 160, 10, 64), np.uint8)
    expected = [
        [45, 60, 61, 160],
        [5, 10, 15, 32],
        [15, 30, 45, 96],
        [30, 30, 16, 64],
        [40, 50, 46, 128],
        [70, 80, 62, 192],
        [140, 160, 125, 160],
        [10, 20, 30, 32],
        [30, 60, 90, 96],
        [110, 100, 35, 64],
        [130, 140, 95, 128],
        [240, 240, 130, 192],
        [20, 40, 60, 128],
    ]
    for operation, pixel in enumerate(expected):
        got = cv.alphaComp(front, back, operation)[0, 0].astype(int)
        assert np.abs(got - pixel).max() <= 1, operation


def test_a_sum_of_colours_ends_at_one() -> None:
    bright = uniform((0.9, 0.9, 0.9, 0.9))
    assert (cv.alphaComp(bright, bright, PLUS + 6) == 1).all()


def test_an_unknown_alpha_operation_is_refused() -> None:
    image = uniform((0, 0, 0, 1))
    with pytest.raises(ConfigurationError, match="alpha_op is 0 to 12, got 13"):
        cv.alphaComp(image, image, 13)
