"""Pictures of timed fills, of changed tensors and of learning: bars and markers show the numbers."""

import numpy as np
import pytest
from test_plots import data, labels, legend, same

from pyinit import plots

pytest.importorskip("matplotlib")


def test_throughput():
    def fill(name, seconds, tier="avx2", threads=1, extrapolated=None):
        return {
            "name": name,
            "tier": tier,
            "threads": threads,
            "bytes": 8e9,
            "median_seconds": seconds,
            "extrapolated": extrapolated,
        }

    fills = [
        fill("memset", 1.0, tier=None),
        fill("philox normal float32", 2.0),
        fill("philox normal_icdf float32", 4.0),
        fill("NumPy PCG64 normal float32", 16.0, tier=None),
        fill("philox normal float32", 8.0, tier="sse2"),
        fill("plain Python", 1.0, tier=None, extrapolated={"samples": 1, "seconds": 1.0}),
        fill("memset", 0.5, tier=None, threads=8),
        fill("philox normal float32", 0.8, threads=8),
    ]
    figure = plots.throughput({"machine": {"cpu": "A processor", "tier": "avx2"}, "fills": fills})
    one, eight = figure.axes
    assert figure.get_suptitle() == "A processor, avx2"
    assert (one.get_title(), eight.get_title()) == ("1 thread", "8 threads")
    assert [bar.get_width() for bar in one.patches] == [4.0, 0.5, 2.0]
    assert [bar.get_width() for bar in eight.patches] == [10.0, 0.0, 0.0]
    assert [list(axes.lines[0].get_xdata()) for axes in figure.axes] == [[8.0, 8.0], [16.0, 16.0]]
    assert [label.get_text() for label in one.get_yticklabels()] == ["normal float32", "normal icdf float32"]
    assert legend(figure) == ["memset", "philox", "NumPy PCG64"]


def test_changes_by_layer(tmp_path):
    values = {"h.10.up.weight": 1e-3, "h.10.up.bias": np.inf, "h.2.up.weight": 0.0, "h.2.up.bias": 0.1, "scale": None}
    figure = plots.changes(values, xlabel="change", title="What moved")
    plots.save(figure, tmp_path / "changes.svg")
    [axes] = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["h.2", "h.10", "scale"]
    weight, bias, scale = axes.lines
    assert legend(figure) == ["weight", "bias", "tensor"]
    texts = dict(zip(axes.get_xticks(), (label.get_text() for label in axes.get_xticklabels())))
    assert [texts[x] for x in weight.get_xdata()] == ["0", "$10^{-3}$"]
    assert [texts[x] for x in bias.get_xdata()] == ["$10^{-1}$", "∞"]
    assert [texts[x] for x in scale.get_xdata()] == ["n/a"]
    assert [list(line.get_ydata()) for line in axes.lines] == [[0, 1], [0, 1], [2]]


def test_of_many_layers_those_that_changed_most_are_drawn():
    values = {f"h.{i}.weight": 0.0 if i % 2 else 1.0 + i for i in range(300)}
    [axes] = plots.changes(values).axes
    assert axes.get_ylabel() == "the 100 of 300 layers that changed most"
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert shown == [f"h.{i}" for i in range(100, 300, 2)]


def test_tensors_of_many_kinds_share_a_marker():
    [axes] = plots.changes({f"fc.{kind}": 1.0 for kind in "abcdefghij"}).axes
    assert [line.get_label() for line in axes.lines] == ["a", "b", "c", "d", "e", "f", "others"]
    assert len(axes.lines[-1].get_xdata()) == 4


def test_nothing_moved_and_nothing_compared():
    for value in (0.0, None, np.nan):
        [axes] = plots.changes({"fc.weight": value}).axes
        assert len(axes.lines) == 1


def test_learning_curves():
    curves = {"xavier": [0.5, 0.8, 0.9], "zeros": [0.1, 0.1]}
    figure = plots.learning_curves(curves, ylabel="accuracy, %", title="Digits")
    [axes] = figure.axes
    same(data(axes), curves)
    assert [list(line.get_xdata()) for line in axes.lines] == [[1, 2, 3], [1, 2]]
    assert (*labels(axes), figure.get_suptitle()) == ("epoch", "accuracy, %", "Digits")
    assert legend(figure) == ["xavier", "zeros"]
    assert plots.learning_curves(curves).axes[0].get_ylabel() == "test accuracy"
    figure = plots.learning_curves(curves, chance=0.1)
    assert legend(figure) == ["xavier", "zeros", "chance"]
    assert list(data(figure.axes[0])["chance"]) == [0.1, 0.1]
