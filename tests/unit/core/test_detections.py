"""Detections: columns in, rows out, and nothing lost on the way."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgevision import ConfigurationError, Detection, Detections

BOXES = [[10, 20, 110, 60], [0, 0, 5, 8], [50, 40, 90, 140]]


def three() -> Detections:
    return Detections(
        BOXES,
        [0.5, 0.25, 1],
        ["dog", "cat", "dog"],
        [7, -1, 9],
        {"area_px": np.array([4000.0, 40.0, 4000.0]), "text": ["a", "b", "c"]},
    )


@st.composite
def detections(draw: st.DrawFn, count: int | None = None) -> Detections:
    size = draw(st.integers(0, 6)) if count is None else count
    number = st.floats(-1000, 1000, width=32)
    column = arrays.arrays(np.float32, size, elements=st.floats(0, 1, width=32))
    data: dict[str, Any] = {}
    if draw(st.booleans()):
        data["area_px"] = draw(arrays.arrays(np.float32, size, elements=number))
    if draw(st.booleans()):
        data["corners"] = draw(arrays.arrays(np.float32, (size, 4, 2), elements=number))
    if draw(st.booleans()):
        data["text"] = draw(st.lists(st.text(max_size=4), min_size=size, max_size=size))
    return Detections(
        draw(arrays.arrays(np.float32, (size, 4), elements=number)),
        draw(column),
        draw(st.lists(st.sampled_from(["", "dog", "Straße"]), min_size=size, max_size=size)),
        draw(arrays.arrays(np.int64, size, elements=st.integers(-1, 5))),
        data,
    )


def test_columns_have_their_types() -> None:
    found = three()
    assert len(found) == 3
    assert found.box_xyxy.dtype == np.float32
    assert found.box_xyxy.shape == (3, 4)
    assert found.confidence.dtype == np.float32
    assert found.label.dtype.kind == "U"
    assert found.track_id.dtype == np.int64


def test_one_value_stands_for_all_rows() -> None:
    found = Detections(BOXES, 0.5, "dog", 3, {"zone": "till"})
    assert found.confidence.tolist() == [0.5] * 3
    assert found.label.tolist() == ["dog"] * 3
    assert found.track_id.tolist() == [3] * 3
    assert found.data["zone"].tolist() == ["till"] * 3
    plain = Detections(BOXES)
    assert plain.confidence.tolist() == [1, 1, 1]
    assert plain.label.tolist() == ["", "", ""]
    assert plain.track_id.tolist() == [-1, -1, -1]
    assert Detections(BOXES, label=(word for word in "abc")).label.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("nothing", [[], np.empty((0, 4)), np.empty((0, 5), np.float64), ()])
def test_no_box_is_no_row(nothing: Any) -> None:
    for found in (
        Detections(nothing),
        Detections(nothing, [], [], [], {"a": []}),
        Detections(nothing, 0.5, "dog"),
        Detections.empty(),
    ):
        assert len(found) == 0
        assert found.box_xyxy.shape == (0, 4)
        assert found.label.dtype.kind == "U"
        assert found.to_json() == []
        assert list(found) == []
        assert found.area_px.shape == (0,)


def test_empty_ones_share_nothing_that_changes() -> None:
    one = Detections.empty()
    one.data["a"] = np.empty(0)
    assert Detections.empty().data == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"box_xyxy": [1, 2, 3, 4]}, r"box_xyxy must be \(N, 4\), got an array of shape \(4,\)"),
        ({"box_xyxy": np.zeros((2, 5))}, r"\(2, 5\)"),
        ({"box_xyxy": BOXES, "confidence": [1, 2]}, "confidence has 2 rows, box_xyxy has 3"),
        ({"box_xyxy": BOXES, "confidence": [[1], [1], [1]]}, r"confidence must be \(N,\)"),
        ({"box_xyxy": BOXES, "label": ["a"]}, "label has 1 rows"),
        ({"box_xyxy": BOXES, "track_id": range(4)}, "track_id has 4 rows"),
        ({"box_xyxy": BOXES, "data": {"t": [1]}}, r"data\['t'\] has 1 rows"),
        ({"box_xyxy": [], "data": {"t": [1]}}, r"data\['t'\] has 1 rows"),
        ({"box_xyxy": BOXES, "data": {"class_name": "x"}}, "cannot be called 'class_name'"),
    ],
)
def test_columns_that_do_not_fit_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Detections(**arguments)


def test_what_comes_in_is_copied() -> None:
    boxes = np.array(BOXES, np.float32)
    score = np.ones(3, np.float32)
    area = np.ones(3)
    found = Detections(boxes, score, data={"area_px": area})
    boxes[:] = score[:] = area[:] = 0
    assert found.box_xyxy.tolist() == BOXES
    assert found.confidence.tolist() == found.data["area_px"].tolist() == [1, 1, 1]


@given(st.data())
def test_indexing_chooses_the_same_rows_of_every_column(data: st.DataObject) -> None:
    found = data.draw(detections())
    size = len(found)
    order = list(range(size))
    choice: Any = data.draw(
        st.one_of(
            st.slices(size),
            arrays.arrays(np.bool_, size),
            st.lists(st.integers(-size, size - 1), max_size=8) if size else st.just([]),
            st.integers(-size, size - 1) if size else st.just(slice(None)),
        )
    )
    index = np.array(choice, np.intp) if isinstance(choice, list) else choice
    rows = np.atleast_1d(np.array(order, np.int64)[index])
    chosen = found[choice]
    assert len(chosen) == len(rows)
    whole = list(found)
    for one, row in zip(chosen, rows.tolist(), strict=True):
        assert one[:4] == whole[row][:4]
        for name, value in one.data.items():
            np.testing.assert_array_equal(value, whole[row].data[name])


@pytest.mark.parametrize("rows", ["area_px", 1.5, np.zeros((2, 2), int), None, [0.5]])
def test_other_indices_are_refused(rows: Any) -> None:
    with pytest.raises(TypeError, match="bool mask, integers or a slice"):
        three()[rows]


@pytest.mark.parametrize("rows", [3, -4, [0, 3], np.ones(2, bool)])
def test_rows_that_there_are_not_are_refused(rows: Any) -> None:
    with pytest.raises(IndexError):
        three()[rows]


def test_filtering_reads_like_numpy() -> None:
    found = three()
    assert found[found.label == "dog"].track_id.tolist() == [7, 9]
    assert found[(found.area_px > 100) & (found.confidence > 0.6)].data["text"].tolist() == ["c"]
    assert len(found[found.confidence > 2]) == 0


@given(st.lists(detections(), max_size=4))
def test_concat_keeps_every_row_in_order(parts: list[Detections]) -> None:
    together = Detections.concat(parts)
    rows = [row for part in parts for row in part]
    assert len(together) == len(rows)
    for got, wanted in zip(together, rows, strict=True):
        assert got[:4] == wanted[:4]
        for name, value in wanted.data.items():
            np.testing.assert_array_equal(got.data[name], value)


def test_concat_fills_what_a_part_lacks() -> None:
    rich = Detections(
        BOXES[:1],
        data={
            "area": np.array([3.5]),
            "text": ["a"],
            "count": np.array([3]),
            "known": np.array([True]),
            "any": np.array([{}], object),
            "corners": np.ones((1, 2, 2)),
        },
    )
    together = Detections.concat([Detections(BOXES[1:2]), rich])
    assert np.isnan(together.data["area"][0])
    assert together.data["text"].tolist() == ["", "a"]
    assert together.data["count"].tolist() == [0, 3]
    assert together.data["known"].tolist() == [False, True]
    assert together.data["any"].tolist() == [None, {}]
    assert np.isnan(together.data["corners"][0]).all()
    assert json.loads(json.dumps(together.to_json(), allow_nan=False))[0]["data"]["area"] is None
    assert together == Detections.concat([Detections(BOXES[1:2]), rich])


@given(detections())
def test_equality_is_that_of_the_rows(found: Detections) -> None:
    assert found == found[:]
    assert found != "detections"
    moved = found.moved((1, 0))
    assert (moved == found) == (len(found) == 0)
    assert found.replaced(label="other") != found or len(found) == 0
    assert found.replaced(data={}) == found or found.data


def test_detections_cannot_be_hashed() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(three())


def test_rows_are_plain_python() -> None:
    first, second, _ = three()
    assert first == Detection((10, 20, 110, 60), 0.5, "dog", 7, {"area_px": 4000.0, "text": "a"})
    assert second.track_id is None
    assert [type(value) for value in first[:4]] == [tuple, float, str, int]


@given(detections())
def test_json_has_every_row(found: Detections) -> None:
    rows = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert len(rows) == len(found)
    for row, one in zip(rows, found, strict=True):
        assert row["label"] == one.label
        assert row["confidence"] == pytest.approx(one.confidence, abs=0.0006)
        assert row["box_xyxy"] == pytest.approx(one.box_xyxy, abs=0.051)
        assert row.get("track_id") == one.track_id
        assert set(row.get("data", {})) == set(found.data)


def test_json_of_one_row() -> None:
    found = Detections([[1.26, 2, 3.04, 4]], 0.12345, "dog", data={"area": np.array([np.inf])})
    assert found.to_json() == [
        {
            "label": "dog",
            "confidence": 0.123,
            "box_xyxy": [1.3, 2.0, 3.0, 4.0],
            "data": {"area": None},
        }
    ]


def test_geometry_on_boxes_that_are_not_square() -> None:
    found = three()
    assert found.size_wh.tolist() == [[100, 40], [5, 8], [40, 100]]
    assert found.area_px.tolist() == [4000, 40, 4000]
    assert found.center_xy.tolist() == [[60, 40], [2.5, 4], [70, 90]]
    assert found.scaled((2, 0.5)).box_xyxy.tolist()[0] == [20, 10, 220, 30]
    assert found.moved((-10, 5)).box_xyxy.tolist()[0] == [0, 25, 100, 65]


def test_clipping_leaves_out_what_is_outside() -> None:
    found = Detections([[-5, -5, 5, 5], [90, 10, 130, 20], [100, 0, 120, 9], [3, 3, 3, 9]])
    inside = found.clipped((100, 50))
    assert inside.box_xyxy.tolist() == [[0, 0, 5, 5], [90, 10, 100, 20]]


@given(detections(), st.integers(1, 50), st.integers(1, 50))
def test_clipped_boxes_are_inside(found: Detections, width: int, height: int) -> None:
    inside = found.clipped((width, height))
    assert (inside.box_xyxy >= 0).all()
    assert (inside.box_xyxy[:, [0, 2]] <= width).all()
    assert (inside.box_xyxy[:, [1, 3]] <= height).all()
    assert (inside.size_wh > 0).all()


def test_iou_of_every_pair() -> None:
    a = Detections([[0, 0, 10, 20], [100, 100, 110, 110]])
    b = Detections([[0, 0, 10, 20], [5, 0, 15, 20], [0, 30, 10, 40]])
    wanted = np.array([[1, 1 / 3, 0], [0, 0, 0]])
    np.testing.assert_allclose(a.iou(b).astype(np.float64), wanted, rtol=1e-6)
    assert a.iou(Detections.empty()).shape == (2, 0)
    flat = Detections([[3, 3, 3, 3]])
    assert flat.iou(flat).tolist() == [[0]]


def test_replaced_copies_and_checks() -> None:
    found = three()
    other = found.replaced(label="person")
    assert other.label.tolist() == ["person"] * 3
    assert found.label.tolist() == ["dog", "cat", "dog"]
    assert other.data["text"].tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="confidence has 1 rows"):
        found.replaced(confidence=[1])


def test_it_tells_what_is_in_it() -> None:
    assert repr(three()) == "Detections(cat: 1, dog: 2)"
    assert repr(Detections(BOXES)) == "Detections(unlabelled: 3)"
    assert repr(Detections.empty()) == "Detections(none)"


@given(detections())
def test_round_trip_through_supervision(found: Detections) -> None:
    pytest.importorskip("supervision", reason="needs supervision: pip install supervision")
    other = found.to_supervision()
    assert len(other) == len(found)
    back = Detections.from_supervision(other)
    if len(found):
        assert back == found
        names = sorted(set(found.label.tolist()))
        assert other.class_id is not None
        assert [names[i] for i in other.class_id] == found.label.tolist()
    else:
        assert len(back) == 0


def test_supervisions_own_detections_come_in() -> None:
    sv = pytest.importorskip("supervision", reason="needs supervision: pip install supervision")
    xyxy = np.array(BOXES, np.float32)
    plain = Detections.from_supervision(sv.Detections(xyxy=xyxy))
    assert plain == Detections(BOXES)
    by_number = Detections.from_supervision(sv.Detections(xyxy=xyxy, class_id=np.array([2, 0, 2])))
    assert by_number.label.tolist() == ["2", "0", "2"]
    mask = np.zeros((3, 4, 6), bool)
    assert Detections.from_supervision(sv.Detections(xyxy=xyxy, mask=mask)).data == {}
    assert len(Detections.from_supervision(sv.Detections.empty())) == 0


def test_supervision_can_change_its_own_without_changing_ours() -> None:
    pytest.importorskip("supervision", reason="needs supervision: pip install supervision")
    found = three()
    other = found.to_supervision()
    other.xyxy[:] = 0
    np.asarray(other.data["area_px"])[:] = 0
    assert found == three()


def test_without_supervision_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'edgevision\[supervision\]'"):
        three().to_supervision()
