from __future__ import annotations

import itertools
import sys
import warnings
from collections.abc import Iterator
from types import SimpleNamespace

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.patches import Rectangle

from ltlib.errors import LtlibError, SettingError, UnknownName
from ltlib.plots import bars, calibration, curves, diagrams, distribution, embedding, export, images, matrices, posthoc
from ltlib.plots.style import Chart

NAMES = [f"c{i}" for i in range(10)]
COUNTS = [5000, 3871, 2997, 2320, 1796, 1391, 1077, 834, 645, 500]


@pytest.fixture(autouse=True)
def no_global_state() -> Iterator[None]:
    before = dict(matplotlib.rcParams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a missing font, a layout that failed, an empty legend
        yield
    assert dict(matplotlib.rcParams) == before
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []


def history(epochs: int = 40) -> pd.DataFrame:
    e = np.arange(1, epochs + 1)
    return pd.DataFrame(
        {
            "stage": 1,
            "epoch": e,
            "train_accuracy": 0.8 - 0.6 / e,
            "test_accuracy": 0.6 - 0.5 / e,
            "train_loss": 2 / e,
            "test_loss": 1 + np.abs(e - 33) / 40,
            "test_ece": 0.01 * e / epochs,
            "train_ece": np.nan,
        }
    )


def texts(fig: Chart) -> list[str]:
    from matplotlib.text import Text

    return [t.get_text() for t in fig.findobj(Text) if t.get_text()]


def line(fig: Chart, label: str) -> np.ndarray:
    return np.asarray(next(each for each in fig.axes[0].lines if each.get_label() == label).get_ydata())


def rectangles(fig: Chart) -> list[Rectangle]:
    return [p for c in fig.axes[0].containers if isinstance(c, BarContainer) for p in c.patches]


def heights(fig: Chart) -> list[float]:
    return [p.get_height() for p in rectangles(fig)]


# --- distribution -----------------------------------------------------------------------------------------------------


def test_class_distribution_shades_the_lowest_third_of_ten() -> None:
    fig = distribution.class_distribution(COUNTS, NAMES, before=[5000] * 10)
    assert sorted(heights(fig)) == sorted(COUNTS + [5000] * 10)
    assert [p.get_height() for p in rectangles(fig) if p.get_hatch()] == [834, 645, 500]
    assert fig.frame()["minority"].tolist() == [False] * 7 + [True] * 3
    assert "20,431 images in 10 classes" in fig.alt
    assert "from 5,000 (c0) down to 500 (c9): a factor of 10" in fig.alt
    assert "9.7% of the images" in fig.alt
    assert "5,000" in texts(fig)


def test_minority_of_unsorted_counts() -> None:
    assert distribution.minority([5, 9, 1, 5, 7]) == [2, 3]  # 30% of five, rounded; of equals the later one
    assert distribution.minority([5, 9], 0.0) == []
    assert distribution.minority([5, 9], 0.01) == [0]
    with pytest.raises(SettingError, match="between 0 and 1"):
        distribution.minority([1], 30)


def test_distribution_with_an_empty_class() -> None:
    fig = distribution.class_distribution([3, 0])
    assert "some class is empty" in " ".join(texts(fig))
    export.svg(fig)
    with pytest.raises(SettingError, match="class counts"):
        distribution.class_distribution([])


def test_sketch_says_what_head_and_tail_hold() -> None:
    fig = distribution.sketch([1, 100, 10, 1, 1, 1, 1, 1, 1, 3], head=0.2)
    assert "head: 2 of 10 classes, 92% of the images" in texts(fig)
    assert "tail: 8 classes, 8% of the images" in texts(fig)
    assert fig.frame()["part"].tolist() == ["head"] * 2 + ["tail"] * 8


def test_field_counts_are_logarithmic_and_sorted() -> None:
    fig = distribution.field_counts({"a": [1, 1000, 10], "b": [5, 0, 50]})
    assert fig.axes[0].get_yscale() == "log"
    np.testing.assert_array_equal(fig.axes[0].lines[0].get_ydata(), [1000, 10, 1])
    np.testing.assert_array_equal(fig.axes[0].lines[1].get_ydata(), [50, 5])


def test_count_curves() -> None:
    fig = distribution.count_curves({"1": [10, 10], "5": [10, 2]})
    np.testing.assert_array_equal(fig.axes[0].lines[1].get_ydata(), [10, 2])
    assert "imbalance factor 5: 12 images, smallest class 2" in fig.alt


# --- images -----------------------------------------------------------------------------------------------------------


def test_images_are_shown_as_they_are() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 6, 3), dtype=np.uint8)
    fig = images.show_images(pixels, ["a", "b", "c", "d", "e"], columns=3)
    shown = fig.axes[0].images
    assert len(shown) == 5
    for image, expected in zip(shown, pixels, strict=True):
        np.testing.assert_array_equal(image.get_array(), expected)
    x0, x1, y0, y1 = shown[4].get_extent()
    assert (x1 - x0) / abs(y1 - y0) == pytest.approx(6 / 8)
    assert shown[3].get_extent()[0] == shown[0].get_extent()[0]  # the fourth starts the second row
    w, h = fig.get_size_inches()
    box = fig.axes[0].get_position()
    xs, ys = fig.axes[0].get_xlim(), fig.axes[0].get_ylim()
    per_x, per_y = box.width * w / (xs[1] - xs[0]), box.height * h / (ys[0] - ys[1])
    assert per_x == pytest.approx(per_y, rel=1e-6)  # square pixels
    with pytest.raises(SettingError, match="as many titles"):
        images.show_images(pixels, ["a"])
    with pytest.raises(SettingError, match="uint8"):
        images.show_images(pixels / 255)


def test_an_image_and_its_map_stand_side_by_side() -> None:
    """The left tile is the image; over the right one the map's colours, enlarged: dark blue for 0, yellow for 1."""
    pixels = np.full((2, 6, 9, 3), 100, dtype=np.uint8)
    first, second = np.zeros((2, 3)), np.zeros((3, 3))
    first[0, 2] = 1
    fig = images.images_with_maps(pixels, [first, second], ["a cat", "a dog"], what="Grad-CAM", pairs=1)
    shown = [np.asarray(tile.get_array()) for tile in fig.axes[0].images]
    assert len(shown) == 4
    assert (shown[0] == 100).all()
    assert shown[1].shape == (6, 9, 3)
    blue, yellow = np.array([0.267004, 0.004874, 0.329415]), np.array([0.993248, 0.906157, 0.143936])  # ends of viridis
    np.testing.assert_allclose(shown[1][0, 8], 0.6 * 255 * yellow + 40, atol=1)
    np.testing.assert_allclose(shown[1][5, 0], 0.6 * 255 * blue + 40, atol=1)
    assert not (shown[1][1, 6] == shown[1][0, 8]).all(), "between places the colours change little by little"
    assert texts(fig) == ["a cat", "Grad-CAM", "a dog", "Grad-CAM"]
    assert fig.alt.startswith("2 images, each with its map (Grad-CAM) beside it; where the map is largest: ")
    assert fig.alt.endswith("largest: a cat: upper right; a dog: nowhere.")
    assert fig.data["largest"] == ["upper right", "nowhere"]  # type: ignore[index]
    assert fig.data["mean"] == [0.1667, 0.0]  # type: ignore[index]
    one = images.images_with_maps(pixels[:1], [np.eye(7)[3:4].repeat(7, 0)], ["x"], what="attention rollout")
    assert one.alt == "An image with its map (attention rollout) beside it; where the map is largest: x: top."
    for wrong in (
        [first],
        [first, second + 1.5],
        [first, second - 0.1],
        [first, second * np.nan],
        [first, np.zeros(3)],
    ):
        with pytest.raises(SettingError, match="map"):
            images.images_with_maps(pixels, wrong, ["a", "b"], what="x")


def test_augmented_images_put_the_original_first() -> None:
    originals = np.zeros((2, 4, 4, 3), np.uint8)
    views = np.full((2, 3, 4, 4, 3), 200, np.uint8)
    fig = images.augmented_images(originals, views, names=["cat", "dog"], augmentation="flip")
    assert [int(i.get_array()[0, 0, 0]) for i in fig.axes[0].images] == [0, 200, 200, 200] * 2
    assert fig.alt == "2 images (cat, dog), each with 3 augmented views (flip)."
    with pytest.raises(SettingError, match="must be"):
        images.augmented_images(originals, views[:1])


def test_samples_come_from_their_class() -> None:
    targets = np.repeat([0, 1, 2], [6, 3, 1])
    pixels = np.broadcast_to((targets * 50).astype(np.uint8)[:, None, None, None], (10, 4, 4, 3))
    fig = images.samples_per_class(pixels, targets, ["a", "b", "c"], per_class=4)
    assert [int(i.get_array()[0, 0, 0]) // 50 for i in fig.axes[0].images] == [0] * 4 + [1] * 3 + [2]
    assert "b (3)" in fig.alt
    many = images.samples_per_class(pixels, targets, [f"n{i}" for i in range(40)], class_counts=range(40, 0, -1))
    shown = many.frame()["class"].tolist()
    assert (shown[0], shown[-1], len(shown)) == ("n0", "n39", 12)
    assert "n18" in shown


# --- curves -----------------------------------------------------------------------------------------------------------


def test_accuracy_curve_shows_the_data_in_percent() -> None:
    h = history()
    fig = curves.accuracy_curve(h, selected=33, selected_as="lowest test loss", title="CE")
    np.testing.assert_allclose(line(fig, "training"), 100 * h.train_accuracy)
    np.testing.assert_allclose(line(fig, "test"), 100 * h.test_accuracy)
    assert any(np.all(np.asarray(each.get_xdata()) == 33) for each in fig.axes[0].lines)
    assert "epoch 33 selected:\nlowest test loss" in texts(fig)
    assert fig.axes[0].get_ylabel() == "Accuracy (%)"
    assert fig.alt == (
        "Accuracy over 40 epochs: training ends at 78.5%, test at 58.8%; best test loss at epoch 33; "
        "epoch 33 selected (test 58.5%)."
    )
    np.testing.assert_allclose(fig.frame()["test_accuracy"], h.test_accuracy)


def test_loss_curves() -> None:
    fig = curves.loss_curve(history().assign(validation_loss=np.nan))
    np.testing.assert_allclose(line(fig, "test"), history().test_loss)
    assert fig.alt.startswith("Loss over 40 epochs: training ends at 0.05, test at 1.18; best test loss at epoch 33")
    assert [each.get_label() for each in fig.axes[0].lines] == ["training", "test"]  # a column of NaN is no curve


def test_curves_say_what_is_wrong() -> None:
    with pytest.raises(SettingError, match="no accuracy"):
        curves.accuracy_curve({"loss": [1.0]})
    with pytest.raises(SettingError, match="epochs 1 to 40"):
        curves.accuracy_curve(history(), selected=41)


def test_readings_become_bands_in_their_place() -> None:
    words = "training about 10% to 70%; validation about 30%, flat from epoch 10"
    plain, fig = curves.accuracy_curve(history()), curves.accuracy_curve(history(), readings=words)
    boxes = [c.get_paths()[0].get_extents() for c in fig.axes[0].collections]
    assert [round((b.y0 + b.y1) / 2, 6) for b in boxes] == [10, 70, 30]
    assert (boxes[0].x0, boxes[1].x1, boxes[2].x0) == (1, 40, 10)
    assert fig.axes[0].get_ylim()[0] <= 10
    assert not plain.axes[0].collections
    assert fig.alt.endswith(f"{words}.")


def test_stages_follow_each_other() -> None:
    h = pd.concat([history(5), history(3).assign(stage=2)], ignore_index=True)
    fig = curves.accuracy_curve(h, selected=8)
    assert len(line(fig, "test")) == 8
    assert "stage 2" in texts(fig)
    assert any(list(each.get_xdata()) == [5.5, 5.5] for each in fig.axes[0].lines)


def test_comparison_names_the_best_first() -> None:
    fig = curves.comparison({"ce": history(), "focal": [0.1, 0.9]})
    np.testing.assert_allclose(line(fig, "Focal"), [10, 90])
    assert "at the last one, best first: Focal 90.0%, CE 58.8%" in fig.alt
    loss = curves.comparison({"ce": [2.0], "focal": [1.0]}, "test_loss")
    assert "best first: Focal 1, CE 2" in loss.alt
    with pytest.raises(SettingError, match="cannot compare"):
        curves.comparison({"ce": [1]}, "lr")
    with pytest.raises(SettingError, match="cannot compare 'tset_accuracy'"):
        curves.comparison({"ce": [0.1, 0.9]}, "tset_accuracy")


def test_spread_keeps_labels_apart_and_near() -> None:
    assert curves.spread([1, 5, 9], 1) == [1, 5, 9]
    assert curves.spread([5, 5], 1) == [4.5, 5.5]
    rng = np.random.default_rng(0)
    for _ in range(50):
        values = np.sort(rng.uniform(0, 10, 7))
        places = curves.spread(values.tolist(), 1.0)
        assert (np.diff(places) > 1 - 1e-9).all()
        assert np.mean(places) == pytest.approx(values.mean())


def test_factors_show_mean_and_range() -> None:
    fig = curves.factors({"ce": {100: [0.4, 0.6], 1: 0.9}})
    np.testing.assert_allclose(line(fig, "CE"), [90, 50])
    assert fig.axes[0].get_xscale() == "log"
    assert fig.frame()[["low", "high", "n"]].iloc[1].tolist() == [0.4, 0.6, 2]
    assert "CE from 90.0% at factor 1 to 50.0% at 100" in fig.alt


# --- matrices ---------------------------------------------------------------------------------------------------------


def test_ten_classes_show_counts_and_a_hundred_do_not() -> None:
    m = np.random.default_rng(0).multinomial(1000, np.full(10, 0.1), 10)
    fig = matrices.confusion_matrix(m, NAMES)
    cells = {t.get_position(): t.get_text() for t in fig.axes[0].texts}
    assert cells == {(j + 0.5, i + 0.5): str(m[i, j]) for i in range(10) for j in range(10)}
    np.testing.assert_allclose(fig.axes[0].collections[0].get_array(), m / 1000)
    assert fig.frame()["count"].tolist() == m.ravel().tolist()
    large = matrices.confusion_matrix(np.eye(100) * 3, groups={"head": range(36), "tail": range(36, 100)})
    assert [t.get_text() for t in large.axes[0].texts] == ["head", "tail"]
    assert large.axes[0].get_xticks().tolist() == [0.5, 20.5, 40.5, 60.5, 80.5]
    assert [t.get_text() for t in large.axes[0].get_yticklabels()] == ["0", "20", "40", "60", "80"]


def test_numbers_keep_their_contrast_on_every_shade() -> None:
    from matplotlib.colors import to_rgb

    def luminance(color: str) -> float:
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    counts = np.array([[n if i == j else 1000 - n if j == (i + 1) % 20 else 0 for j in range(20)]
                       for i, n in enumerate(range(30, 1000, 50))])  # fmt: skip
    fig = matrices.confusion_matrix(counts)
    shades = fig.axes[0].collections[0].to_rgba(counts / 1000)
    for text in fig.axes[0].texts:
        x, y = text.get_position()
        pair = sorted([luminance(text.get_color()), luminance(shades[int(y), int(x)])])
        assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4, text.get_text()


def test_normalised_cells_and_a_class_without_images() -> None:
    fig = matrices.confusion_matrix([[3, 1], [0, 0]], normalise=True)
    assert [t.get_text() for t in fig.axes[0].texts] == ["75.0", "25.0", "0.0", "0.0"]
    assert "75.0% of 4 test images are on the diagonal; best class 0 (75.0%)" in fig.alt
    for wrong in ([[1, 2]], [[0]], [[-1, 2], [1, 1]]):
        with pytest.raises(SettingError, match="confusion matrix"):
            matrices.confusion_matrix(wrong)


def test_published_and_reproduced_matrix() -> None:
    first, second = np.array([[8, 2], [5, 5]]), np.array([[60, 40], [10, 90]])
    fig = matrices.compare_confusion(first, second, ["cat", "dog"])
    np.testing.assert_allclose(fig.axes[2].collections[0].get_array(), [[-20, 20], [-40, 40]])
    assert fig.alt == (
        "Accuracy 65.0% published, 75.0% reproduced; recall moves most for dog (+40.0 points) and cat (-20.0 points)."
    )
    with pytest.raises(SettingError, match="do not compare"):
        matrices.compare_confusion(first, np.eye(3), ["cat", "dog"])


# --- bars -------------------------------------------------------------------------------------------------------------


def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model": ["resnet18", "resnet18", "resnet50"],
            "method": ["ce", "focal", "ce"],
            "published": [0.722, 0.709, 0.665],
            "reproduced": [0.73, 0.70, np.nan],
            "n": [3, 1, 0],
            "ci_low": [0.71, np.nan, np.nan],
            "ci_high": [0.75, np.nan, np.nan],
        }
    )


def test_bars_show_published_reproduced_and_missing() -> None:
    fig = bars.accuracy_bars(table(), title="CIFAR-10")
    drawn = rectangles(fig)
    assert sorted(p.get_height() for p in drawn) == pytest.approx([66.5, 66.5, 70.0, 70.9, 72.2, 73.0])
    assert [p.get_hatch() for p in drawn if p.get_height() == 66.5] == [None, "///"]
    assert texts(fig).count("not run") == 1
    assert {"72.2", "73.0", "ResNet-18", "Accuracy (%)"} <= set(texts(fig))
    assert (
        len([c for c in fig.axes[0].containers if isinstance(c, ErrorbarContainer)]) == 1
    )  # one interval: only where there are 3 runs
    assert "ResNet-18 CE 73.0% (published 72.2%)" in fig.alt
    assert fig.alt.endswith("not run: ResNet-50 CE (published 66.5%).")


def test_bars_never_overlap() -> None:
    fig = bars.accuracy_bars(table())
    spans = sorted((p.get_x(), p.get_x() + p.get_width()) for p in rectangles(fig))
    assert all(a[1] < b[0] for a, b in itertools.pairwise(spans))
    with pytest.raises(SettingError, match="no column 'reproduced'"):
        bars.accuracy_bars(table().drop(columns="reproduced"))
    with pytest.raises(SettingError, match="no row of accuracy"):
        bars.accuracy_bars([])


def test_bars_without_an_interval_and_with_half_of_one() -> None:
    fig = bars.accuracy_bars(table().drop(columns=["n", "ci_low", "ci_high"]))
    assert not [c for c in fig.axes[0].containers if isinstance(c, ErrorbarContainer)]
    assert fig.frame()["n"].tolist() == [0, 0, 0]
    with pytest.raises(SettingError, match="no column 'ci_low'"):
        bars.accuracy_bars(table().rename(columns={"ci_low": "low", "ci_high": "high"}))
    with pytest.raises(SettingError, match="no column 'n'"):
        bars.accuracy_bars(table().drop(columns="n"))


def test_bars_take_one_metric_of_a_compared_table() -> None:
    both = pd.concat([table().assign(metric="accuracy"), table().assign(metric="f1", published=0.1)])
    fig = bars.accuracy_bars(both)
    assert fig.frame()["published"].tolist() == table()["published"].tolist()
    other = bars.result_bars(both, value="f1")
    assert set(other.frame()["published"]) == {0.1}
    assert "F1 (%)" in texts(other)


# --- calibration ------------------------------------------------------------------------------------------------------


def test_reliability_states_the_error_of_its_table() -> None:
    bins = {
        "lower": [0.0, 0.5, 0.75],
        "upper": [0.5, 0.75, 1.0],
        "count": [0, 40, 60],
        "confidence": [np.nan, 0.6, 0.9],
        "accuracy": [np.nan, 0.7, 0.8],
    }
    fig = calibration.reliability_diagram({"ce": bins, "focal": bins})
    assert len(fig.axes) == 4
    assert any("ECE 10.0%" in t for t in texts(fig))
    assert "CE: ECE 10.0% on 100 images, mean confidence 78.0% against accuracy 76.0%" in fig.alt
    gaps = sorted(round(height, 6) for height in heights(fig))
    assert gaps == [10, 10, 60, 80]  # both gaps, and the bars below them
    single = calibration.reliability_diagram(bins)
    assert len(single.axes) == 2
    with pytest.raises(SettingError, match="no image"):
        calibration.reliability_diagram(bins | {"count": [0, 0, 0]})


def test_confidence_histogram() -> None:
    fig = calibration.confidence_histogram([0.9, 0.9, 0.3, 0.5], [True, True, False, True], bins=10)
    assert fig.frame()["right"].sum() == pytest.approx(0.75)
    assert fig.frame()["wrong"].tolist()[2] == 0.25  # bins are closed on the right
    assert "75.0% of them right: on average 76.7% when right and 30.0% when wrong" in fig.alt


def test_many_reliability_panels_go_into_rows() -> None:
    full = {
        "lower": [0.0, 0.5],
        "upper": [0.5, 1.0],
        "count": [30, 10],
        "confidence": [0.4, 0.9],
        "accuracy": [0.3, 1.0],
    }
    for panels, rows, columns in ((3, 1, 3), (4, 1, 4), (5, 2, 3), (7, 2, 4)):
        fig = calibration.reliability_diagram({f"a long name of method {i}": full for i in range(panels)})
        fig.draw_without_rendering()
        above = [axes for axes in fig.axes if axes.get_title(loc="left")]
        assert (len(fig.axes), len(above)) == (2 * panels, panels)
        places = [axes.get_position() for axes in above]
        assert (len({round(p.y0, 2) for p in places}), len({round(p.x0, 2) for p in places})) == (rows, columns)
        assert fig.get_size_inches()[0] <= 7.2
        assert len({axes.get_ylim() for axes in fig.axes if axes not in above}) == 1, "counts compare between panels"
        assert fig.frame()["panel"].nunique() == panels
        for one, other in itertools.combinations([axes.get_tightbbox() for axes in above], 2):
            assert one is not None
            assert other is not None
            assert not one.overlaps(other)


def said(seed: int, scale: float) -> SimpleNamespace:
    draw = np.random.default_rng(seed)
    targets, logits = np.repeat(np.arange(4), 25), scale * draw.normal(size=(100, 4))
    rows = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return SimpleNamespace(targets=targets, confidence=rows.max(1), logits=logits, rows=rows)


def test_confidence_by_group_of_the_predicted_and_of_the_actual_class() -> None:
    methods, groups = {"ce": said(0, 4.0), "awabs": said(1, 1.0)}, {"head": [0, 1], "tail": [3], "none": []}
    fig = calibration.group_confidence(methods, groups)
    assert [a.get_title(loc="left") for a in fig.axes] == ["head, 50 images", "tail, 25 images"]
    frame = fig.frame()
    assert frame.groupby(["group", "method"])["share"].sum().tolist() == pytest.approx([1, 1, 1, 1])
    tail = methods["ce"].confidence[75:]
    share = frame[(frame["group"] == "tail") & (frame["method"] == "ce")]["share"]
    assert share.iloc[-1] == pytest.approx(np.mean(tail > 14 / 15))
    assert f"tail CE {100 * tail.mean():.1f}%, AWABS {100 * methods['awabs'].confidence[75:].mean():.1f}%" in fig.alt
    own = calibration.group_confidence(methods, groups, of="actual")
    mean = methods["ce"].rows[np.arange(50), methods["ce"].targets[:50]].mean()
    assert f"own class, mean by class group: head CE {100 * mean:.1f}%" in own.alt
    methods["ce"].logits = None
    with pytest.raises(SettingError, match="a record has none"):
        calibration.group_confidence(methods, groups, of="actual")
    with pytest.raises(SettingError, match="predicted or actual"):
        calibration.group_confidence(methods, groups, of="both")
    with pytest.raises(SettingError, match="no image"):
        calibration.group_confidence(methods, {"none": []})


def test_before_and_after_names_the_best_and_keeps_a_far_likelihood_in_sight() -> None:
    changes = {
        "none": {"ece": 0.29, "nll": 2.3, "accuracy": 0.31},
        "temperature": {"ece": 0.25, "nll": 2.2, "accuracy": 0.31},
        "isotonic": {"ece": 0.26, "nll": 34.0, "accuracy": 0.33},
        "logit_adjustment_fitted": {"ece": 0.04, "nll": 1.57, "accuracy": 0.4},
    }
    alone = {
        "none": {"ece": 0.02, "nll": 1.9, "accuracy": 0.4},
        "temperature": {"ece": 0.1, "nll": 2.0, "accuracy": 0.4},
    }
    fig = posthoc.before_after({"ce": changes, "balanced_softmax": alone})
    first, second = fig.axes
    assert second.get_xlim()[1] < 4
    assert {"34.00", "29.0", "4.0", "1.57", "CE", "before", "isotonic"} <= set(texts(fig))
    assert max(x for each in first.lines for x in np.asarray(each.get_xdata())) == pytest.approx(29)
    assert "CE: ECE 29.0% before, lowest after logit adjustment and temperature, fitted, 4.0%" in fig.alt
    assert "Balanced softmax: ECE 2.0% before, which no post-hoc method lowers" in fig.alt
    assert fig.frame()["nll"].tolist() == [2.3, 2.2, 34.0, 1.57, 1.9, 2.0]
    for wrong in ({}, {"ce": {"temperature": changes["temperature"]}}):
        with pytest.raises(SettingError, match="nothing to draw"):
            posthoc.before_after(wrong)


# --- embedding --------------------------------------------------------------------------------------------------------


def test_scatter_draws_every_class_with_its_own_marker() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(10), 5)
    fig = embedding.scatter(rng.normal(size=(50, 2)), y, NAMES, emphasise=[9], class_counts=COUNTS)
    drawn = fig.axes[0].collections
    assert sum(len(c.get_offsets()) for c in drawn) == 50
    assert len({c.get_paths()[0].vertices.tobytes() for c in drawn}) == 10
    assert drawn[-1].get_sizes()[0] > drawn[0].get_sizes()[0]  # the emphasised class, last and larger
    assert "c9 (500)" in texts(fig)
    assert fig.alt == "t-SNE map of 50 images of 10 classes."


def test_scatter_in_panels_and_by_group() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 30, 60)
    points = {"ce": rng.normal(size=(60, 2)), "supcon": rng.normal(size=(60, 2))}
    groups = {"head": range(10), "middle": range(10, 20), "tail": range(20, 30)}
    measured = {
        "ce": {"silhouette": 0.1, "nearest_centroid": 0.5},
        "supcon": {"silhouette": 0.3, "nearest_centroid": 0.7},
    }
    fig = embedding.scatter(points, y, [str(i) for i in range(30)], groups=groups, separability=measured)
    assert [a.get_title(loc="left") for a in fig.axes] == ["CE", "SupCon"]
    assert "SupCon: silhouette 0.30 and nearest-centroid accuracy 70.0%" in fig.alt
    assert "tail, 10 classes" in texts(fig)
    with pytest.raises(SettingError, match="give their groups"):
        embedding.scatter(points["ce"], y, [str(i) for i in range(30)])
    with pytest.raises(SettingError, match="measured were ce, supcn"):
        embedding.scatter(
            points, y, [str(i) for i in range(30)], groups=groups,
            separability={"ce": measured["ce"], "supcn": measured["supcon"]},
        )  # fmt: skip
    with pytest.raises(SettingError, match="need points"):
        embedding.scatter(points["ce"][:5], y[:6], NAMES)


def test_a_crowded_map_stays_small() -> None:
    rng = np.random.default_rng(0)
    fig = embedding.scatter(rng.normal(size=(3000, 2)), rng.integers(0, 10, 3000), NAMES)
    assert len(export.svg(fig)) < 400_000


# --- diagrams ---------------------------------------------------------------------------------------------------------


def test_algorithm_numbers_its_lines() -> None:
    fig = diagrams.algorithm(diagrams.LONG_TAILED_SUBSET, title="Algorithm 1")
    found = texts(fig)
    assert [str(i + 1) for i in range(len(diagrams.LONG_TAILED_SUBSET))] == [t for t in found if t.isdigit()]
    assert found.count("for") == 1
    assert fig.frame()["text"].tolist() == list(diagrams.LONG_TAILED_SUBSET)
    assert fig.alt.startswith("Algorithm 1: 1. input")


def test_framework_connects_its_boxes() -> None:
    from matplotlib.patches import FancyArrowPatch

    boxes = {"a": diagrams.Box("encoder", (0.5, 0.5)), "b": diagrams.Box("loss", (1.6, 0.5))}
    fig = diagrams.framework(boxes, [("a", "b", "features")])
    assert len(fig.findobj(FancyArrowPatch)) == 1
    assert "encoder to loss" in fig.alt
    with pytest.raises(UnknownName, match="box"):
        diagrams.framework(boxes, [("a", "c")])


# --- all --------------------------------------------------------------------------------------------------------------


def test_every_error_is_one_sentence() -> None:
    with pytest.raises(LtlibError) as caught:
        calibration.confidence_histogram([0.5], [True, False])
    assert "\n" not in str(caught.value)


def test_drawing_needs_no_pyplot_and_no_heavy_package() -> None:
    import subprocess

    code = (
        "import sys; from ltlib.plots import curves, embedding;"
        "curves.accuracy_curve({'test_accuracy': [0.1, 0.2]});"
        "heavy = {'matplotlib.pyplot', 'pandas', 'seaborn', 'sklearn', 'torch', 'torchvision'} & set(sys.modules);"
        "sys.exit(' '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
