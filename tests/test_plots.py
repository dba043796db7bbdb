"""Pictures show the given data, and files contain the pictures."""

import dataclasses
import threading

import numpy as np
import pytest

from pyinit import Stream, plots
from pyinit.diagnostics import Diagnosis, activations, diagnose
from pyinit.diagnostics.layers import numbers
from pyinit.network import Dense, Network
from pyinit.plots.canvas import style

matplotlib = pytest.importorskip("matplotlib")
SCHEMES = ("small", "big", "xavier")


@pytest.fixture(scope="module")
def diagnoses():
    return {scheme: diagnose(layers=4, width=60, scheme=scheme, batch=100) for scheme in SCHEMES}


@pytest.fixture(scope="module")
def extremes():
    """Signals that vanish exactly, and signals that overflow."""
    return {
        scheme: diagnose(layers=45, width=60, scheme=scheme, activation="relu", batch=50)
        for scheme in ("zeros", "normal(std=2)", "xavier")
    }


def of(part, diagnoses):
    return {name: getattr(d, part) for name, d in diagnoses.items()}


def data(axes):
    """Return the lines of axes, by label."""
    return {line.get_label(): line.get_ydata() for line in axes.lines}


def labels(axes):
    return axes.get_xlabel(), axes.get_ylabel()


def same(lines, expected):
    assert lines.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(lines[name], values)


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_spread_shows_means_and_stds(diagnoses):
    figure = plots.spread(of("activations", diagnoses))
    means, stds = figure.axes
    same(data(means), {name: d.activations.mean for name, d in diagnoses.items()})
    same(data(stds), {name: d.activations.std for name, d in diagnoses.items()})
    for line in (*means.lines, *stds.lines):
        np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3, 4])
    assert labels(means) == ("", "mean of activations"), "the axis below names the layers of both"
    assert labels(stds) == ("layer", "std of activations")
    assert (means.get_yscale(), stds.get_yscale()) == ("linear", "log")
    assert legend(figure) == list(SCHEMES)


def test_the_flow_shows_the_stds_of_gradients(diagnoses):
    figure = plots.gradient_flow(of("gradients", diagnoses))
    [axes] = figure.axes
    same(data(axes), {name: d.gradients.std for name, d in diagnoses.items()})
    assert labels(axes) == ("layer  (\N{LEFTWARDS ARROW} gradients flow back)", "std of gradient")
    assert axes.get_yscale() == "log"
    low, high = axes.get_ylim()
    assert all(low < std < high for d in diagnoses.values() for std in d.gradients.std)
    assert legend(figure) == list(SCHEMES)


def shares(axes):
    """Return the heights of a panel's bins, and of the end bins."""
    return [patch.get_data().values for patch in axes.patches]


def check_panels(panels, diagnoses):
    """Compare a row of four panels per scheme with the counts."""
    assert len(panels) == 4 * len(diagnoses)
    for i, d in enumerate(diagnoses.values()):
        for layer, axes in enumerate(panels[4 * i : 4 * i + 4]):
            counts = d.activations.counts[layer]
            every, ends = shares(axes)
            np.testing.assert_allclose(every, counts / counts.sum(), rtol=1e-12)
            np.testing.assert_allclose(ends[[0, -1]], every[[0, -1]])
            assert not ends[1:-1].any()
            np.testing.assert_array_equal(axes.patches[0].get_data().edges, d.activations.edges[layer])
            assert axes.get_xlim() == (-1, 1)
            assert axes.get_title() == f"layer {layer + 1}"
            assert axes.get_ylim()[1] > every.max()


def test_histograms_show_every_layer(diagnoses):
    figure = plots.histograms(of("activations", diagnoses))
    check_panels(figure.axes, diagnoses)
    big, small = figure.axes[4], figure.axes[3]
    share = diagnoses["big"].activations.saturated[0]
    assert 0.6 < share < shares(big)[1].sum(), "the bins reach from 0.95 to 1"
    assert [text.get_text() for text in big.texts] == [f"{share:.1%}"]
    assert [text.get_text() for text in small.texts] == ["0%"]
    assert f" {share:.1%} of values " in diagnoses["big"].verdict, "one number for saturation in one picture"
    headings = [row.get_suptitle() for row in figure.subfigs]
    assert headings[0] == f"small \N{EN DASH} {diagnoses['small'].activations.verdict}"
    assert figure.get_supxlabel() == "activation\norange: the ends of the range; %: values with |a| > 0.99"
    assert figure.get_supylabel().startswith("share of values")


def test_the_overview_shows_all(diagnoses):
    figure = plots.overview(diagnoses)
    means, stds, gradients, *panels = figure.axes
    same(data(means), {name: d.activations.mean for name, d in diagnoses.items()})
    same(data(stds), {name: d.activations.std for name, d in diagnoses.items()})
    same(data(gradients), {name: d.gradients.std for name, d in diagnoses.items()})
    check_panels(panels, diagnoses)


def test_deep_networks_show_five_layers_of_the_histograms(extremes):
    figure = plots.histograms(of("activations", extremes))
    titles = [axes.get_title() for axes in figure.axes[:5]]
    assert titles == [f"layer {n}" for n in (1, 12, 23, 34, 45)]
    assert len(figure.axes) == 15
    assert [text.get_text() for text in figure.axes[0].texts] == ["100% dead"]
    *_, overflowing = figure.axes[9].texts
    assert overflowing.get_text().endswith("%\nnot finite")


@pytest.mark.parametrize("draw", [plots.histograms, plots.overview])
def test_more_schemes_than_six_are_strips(diagnoses, draw):
    """The legend has six colours. A strip's column is a layer, darkest at the most frequent values."""
    found = {f"{scheme} {i}": d for i in range(3) for scheme, d in diagnoses.items()}
    for count, axes_of_each in ((6, 4), (7, 1), (9, 1)):
        some = dict(list(found.items())[:count])
        figure = draw(of("activations", some) if draw is plots.histograms else some)
        figure.draw_without_rendering()
        panels = figure.axes[3 if draw is plots.overview else 0 :]
        assert len(panels) == count * axes_of_each
    for axes, (name, d) in zip(panels, some.items()):
        assert axes.get_title(loc="left").startswith(f"{name}\n{d.activations.verdict[:20]}")
        [mesh] = axes.collections
        counts = d.activations.counts
        np.testing.assert_allclose(mesh.get_array().T, np.sqrt(counts / counts.max(axis=1, keepdims=True)))
        assert (axes.get_xlim(), axes.get_ylim()) == ((0.5, 4.5), (-1, 1))


def test_strips_of_layers_of_several_ranges(tmp_path):
    net = Network(60, [Dense(60, "relu"), Dense(60, "relu"), Dense(60, "tanh"), Dense(60, "relu")])
    net.initialize(0)
    found = activations(net, Stream(0).child("x").normal((50, 60)))
    figure = plots.histograms({f"{i}": found for i in range(7)}, title="mixed")
    plots.save(figure, tmp_path / "strips.svg")
    assert figure.get_suptitle() == "mixed"
    assert [mesh.get_array().shape for mesh in figure.axes[0].collections] == [(41, 2), (41, 1), (41, 1)]


def test_titles_say_which_network(diagnoses):
    network = "4 tanh layers of 60 units, seed 0"
    assert {d.network for d in diagnoses.values()} == {network}
    assert plots.overview(diagnoses).get_suptitle() == network
    assert plots.spread(of("activations", diagnoses), title=network).get_suptitle() == network
    assert plots.gradient_flow(of("gradients", diagnoses), title=network).get_suptitle() == network
    other = diagnose(layers=4, width=60, seed=7, batch=10)
    assert other.network == "4 tanh layers of 60 units, seed 7"
    assert plots.overview({**diagnoses, "other": other}).get_suptitle() == ""


@pytest.mark.parametrize("layers", [1, 2, 5, 12, 13, 20, 45, 300])
def test_ticks_of_layers_are_integers(diagnoses, layers):
    a, g = diagnoses["xavier"].activations, diagnoses["xavier"].gradients
    many = [np.resize(values, layers) for values in (a.mean, a.std, g.std)]
    found = Diagnosis(
        dataclasses.replace(a, mean=many[0], std=many[1], name=numbers(layers)),
        dataclasses.replace(g, std=many[2], name=numbers(layers)),
    )
    for figure in (plots.spread({"a": found.activations}), plots.gradient_flow({"a": found.gradients})):
        figure.draw_without_rendering()
        low, high = figure.axes[-1].get_xlim()
        ticks = [tick for tick in figure.axes[-1].get_xticks() if low <= tick <= high]
        assert ticks
        assert all(tick == int(tick) >= 1 for tick in ticks)


def test_zeros_are_marked_below_the_scale_and_overflow_above(extremes):
    stds = plots.spread(of("activations", extremes)).axes[1]
    same(data(stds), {name: d.activations.std for name, d in extremes.items()})
    zeros, overflow = stds.collections
    low, high = stds.get_ylim()
    positive = np.concatenate([d.activations.std[d.activations.std > 0] for d in extremes.values()])
    x, y = zeros.get_offsets().T
    assert (low < y).all()
    assert (y < positive.min()).all()
    assert (positive < high).all()
    # With 45 layers, every third one has a marker.
    np.testing.assert_array_equal(x, np.arange(1, 46, 3))
    assert "0" in [label.get_text() for label in stds.get_yticklabels()]
    bad = np.flatnonzero(np.isnan(extremes["normal(std=2)"].activations.std))
    np.testing.assert_array_equal(overflow.get_offsets()[:, 0], bad[::3] + 1)
    assert (overflow.get_offsets()[:, 1] > 1).all()
    assert overflow.get_transform() is not stds.transData


def test_one_layer_that_overflows_is_marked_wherever_it_is(extremes):
    found = extremes["xavier"].activations
    last = found.std.copy()
    last[43] = np.nan
    stds = plots.spread({"xavier": dataclasses.replace(found, std=last)}).axes[1]
    assert [list(marks.get_offsets()[:, 0]) for marks in stds.collections] == [[44]]


def test_what_is_said_of_overflow_stands_above_its_markers(extremes):
    figure = plots.gradient_flow({"big": extremes["normal(std=2)"].gradients})
    figure.draw_without_rendering()
    [axes] = figure.axes
    [marks] = axes.collections
    markers = marks.get_offset_transform().transform(marks.get_offsets())
    assert axes.title.get_text() == ""
    assert axes._left_title.get_window_extent().y0 > markers[:, 1].max() + 5


def test_zeros_beside_what_hardly_changes_leave_a_scale():
    found = {
        scheme: diagnose(layers=4, width=60, scheme=scheme, batch=100).activations for scheme in ("zeros", "xavier")
    }
    stds = plots.spread(found).axes[1]
    texts = [label.get_text() for label in stds.get_yticklabels()]
    assert texts[0] == "0"
    assert len(texts) >= 4
    band, scale = stds.patches[0].get_extents(), stds.get_window_extent()
    assert band.height < scale.height / 5


def test_stds_of_float64_may_be_as_far_apart_as_they_like(tmp_path, diagnoses):
    found = dataclasses.replace(diagnoses["big"].activations, std=np.array([1e-200, 0.0, 1.0, 1e200]))
    figure = plots.spread({"float64": found})
    plots.save(figure, tmp_path / "far.png")
    low, high = figure.axes[1].get_ylim()
    assert 0 < low < 1e-200 < 1e200 < high < np.inf


@pytest.mark.parametrize("length", [5, 24, 60, 150, 400])
def test_a_legend_stays_within_its_figure(diagnoses, length):
    d = diagnoses["xavier"]
    found = {f"{i}{' w' * (length // 2)}": d for i in range(5)}
    figures = [
        plots.spread(of("activations", found)),
        plots.gradient_flow(of("gradients", found)),
        plots.learning_curves({name: [0.5, 0.9] for name in found}),
    ]
    for figure in figures:
        figure.draw_without_rendering()
        box, edge = figure.legends[0].get_window_extent(), figure.bbox
        assert edge.x0 <= box.x0 < box.x1 <= edge.x1
        assert figure.axes[0].get_window_extent().height > 30


def test_threads_that_draw_leave_matplotlibs_settings_as_they_were():
    before, entered, left = dict(matplotlib.rcParams), threading.Event(), threading.Event()

    def draw():
        with style():
            entered.set()
            left.wait()

    other = threading.Thread(target=draw)
    with style():
        other.start()
        entered.wait(timeout=0.5)  # it draws at once only if nothing makes it wait
    left.set()
    other.join()
    assert dict(matplotlib.rcParams) == before


def test_nothing_but_zeros_and_nothing_but_overflow(tmp_path):
    for scheme in ("zeros", "normal(std=1e20)"):
        found = {scheme: diagnose(layers=3, width=8, scheme=scheme, activation="relu", batch=4)}
        plots.save(plots.overview(found), tmp_path / "extreme.png")


def test_a_small_mean_looks_small(diagnoses):
    """Means of some thousandths are drawn on the scale of the stds, next to which they are 0."""
    means = plots.spread(of("activations", diagnoses)).axes[0]
    low, high = means.get_ylim()
    assert high == -low == pytest.approx(max(d.activations.std.max() for d in diagnoses.values()) / 4)


def test_exploding_means_are_on_a_scale_of_powers(extremes):
    means = plots.spread(of("activations", extremes)).axes[0]
    assert means.get_yscale() == "asinh"
    same(data(means), {name: d.activations.mean for name, d in extremes.items()})


def test_narrow_scales_have_plain_numbers(tmp_path):
    figure = plots.gradient_flow({"xavier": diagnose(layers=3, width=60, batch=50).gradients})
    plots.save(figure, tmp_path / "narrow.png")
    shown = [label.get_text() for label in figure.axes[0].get_yticklabels(which="both") if label.get_text()]
    assert len(shown) >= 2
    assert all(float(text) > 0 for text in shown)


def test_an_axis_that_explodes_upwards_shows_nothing_below():
    found = {"big": diagnose(layers=10, width=100, scheme="big", activation="relu", batch=50).activations}
    means = plots.spread(found).axes[0]
    low, high = means.get_ylim()
    assert means.get_yscale() == "asinh"
    assert -low < high / 1000
    assert [y for y in means.get_yticks() if y > 1000]


def test_markers_of_equal_curves_stand_apart():
    curves = {name: [0.5] * 60 for name in ("a", "b", "c")}
    assert [line.get_markevery() for line in plots.learning_curves(curves).axes[0].lines] == [(0, 3), (1, 3), (2, 3)]


def test_lines_differ_in_more_than_colour():
    curves = {f"scheme {i}": [0.0, 1.0] for i in range(12)}
    lines = plots.learning_curves(curves).axes[0].lines
    assert len({(line.get_color(), line.get_marker(), line.get_linestyle()) for line in lines}) == 12
    assert len({(line.get_marker(), line.get_linestyle()) for line in lines}) == 12
    assert len({line.get_color() for line in lines[:6]}) == 6


def test_names_are_shown_as_they_stand():
    name = "normal(std=$\\sigma$) <b>"
    figure = plots.learning_curves({name: [1.0]})
    assert legend(figure) == [name]
    assert not figure.legends[0].get_texts()[0].get_parse_math()


@pytest.mark.parametrize("draw", [plots.spread, plots.gradient_flow, plots.histograms, plots.overview])
def test_nothing_to_draw(draw):
    with pytest.raises(ValueError, match="something to draw"):
        draw({})
    for draw_other in (plots.learning_curves, plots.changes, lambda no: plots.throughput({"machine": no, "fills": no})):
        with pytest.raises(ValueError, match="something to draw"):
            draw_other({})
