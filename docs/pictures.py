"""The guide's pictures, drawn anew by every build from what pyinit computes."""

import hashlib
import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
import quality.table

from pyinit import Stream, diagnostics, initialize, plots
from pyinit.models import Cut, shards
from pyinit.plots.canvas import COLOURS, figure, line, style


@style()
def saturation():
    """The sigmoid and the tanh, and below them their slopes."""
    z = np.linspace(-8, 8, 401)
    sigmoid = 1 / (1 + np.exp(-z))
    curves = (("sigmoid", sigmoid, sigmoid * (1 - sigmoid)), ("tanh", np.tanh(z), 1 - np.tanh(z) ** 2))
    drawing = figure(8.0, 3.6)
    values, slopes = drawing.subplots(1, 2)
    for i, (name, value, slope) in enumerate(curves):
        values.plot(z, value, label=name, **line(i) | {"marker": None})
        slopes.plot(z, slope, **line(i) | {"marker": None})
    values.set(xlabel="sum that the unit receives", ylabel="output")
    slopes.set(xlabel="sum that the unit receives", ylabel="slope")
    drawing.legend(loc="outside lower center", ncols=2)
    return drawing


@style()
def box_muller(points=1500):
    """Uniform points, and the normal ones that Box and Muller make of them; a fifth, of small u, in another colour."""
    u, v = (Stream(7).bits((points, 2)) + 0.5).T / 2.0**32
    x, y = Stream(7).normal((points, 2)).T
    drawing = figure(8.0, 4.2)
    square, cloud = drawing.subplots(1, 2)
    for chosen, colour, marker in ((u >= 0.2, COLOURS[0], "o"), (u < 0.2, COLOURS[1], "^")):
        square.scatter(u[chosen], v[chosen], s=7, color=colour, marker=marker, linewidths=0)
        cloud.scatter(x[chosen], y[chosen], s=7, color=colour, marker=marker, linewidths=0)
    square.set(xlabel="u", ylabel="v", title="two words, as fractions", aspect="equal", xlim=(0, 1), ylim=(0, 1))
    cloud.set(xlabel="x", ylabel="y", title="two normal samples", aspect="equal", xlim=(-4, 4), ylim=(-4, 4))
    return drawing


# A tensor cut in five ways: into how many parts, and the cuts of part k.
CUTS = {
    "rows": (4, lambda k: [Cut(0, 4, k)]),
    "columns": (4, lambda k: [Cut(1, 4, k)]),
    "a 2 x 2 mesh": (4, lambda k: [Cut(0, 2, k // 2), Cut(1, 2, k % 2)]),
    "FSDP2 after\ntensor parallelism": (4, lambda k: [Cut(0, 2, k // 2, stride=2), Cut(0, 2, k % 2)]),
    "uneven rows": (3, lambda k: [Cut(0, 3, k)]),
}


@style()
def cuts(size=8):
    """One tensor, cut in five ways and filled part by part, with the hash of the whole."""
    drawing = figure(8.0, 2.5)
    for panel, (title, (parts, cuts_of)) in zip(drawing.subplots(1, len(CUTS)), CUTS.items()):
        whole, owner = np.empty((size, size), np.float32), np.empty((size, size), int)
        for k in range(parts):
            for offset, part in filled((size, size), cuts_of(k)):
                there = tuple(slice(o, o + n) for o, n in zip(offset, part.shape))
                whole[there], owner[there] = part, k
        light = 0.6 * (whole.argsort(axis=None).argsort().reshape(whole.shape) / whole.size)[..., None]
        colours = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in COLOURS])[owner]
        panel.pcolormesh(colours + light * (1 - colours), edgecolors="white", linewidth=0.5)
        panel.set(title=title, xticks=[], yticks=[], aspect="equal")
        panel.set_xlabel(hashlib.sha256(whole).hexdigest()[:12], family="monospace")
        panel.invert_yaxis()
        panel.spines[:].set_visible(False)
    return drawing


def filled(shape, held_by_cuts):
    """Yield the blocks that one process fills, and where in the tensor they begin."""
    held = shards(shape, held_by_cuts)
    local = np.empty([max(shard.where[dim].stop for shard in held) for dim in range(len(shape))], np.float32)
    initialize({"weight": local}, 7, {"*": "normal"}, shards={"weight": held})
    yield from ((shard.offset, local[shard.where]) for shard in held)


@style()
def quality_together(p):
    """The share of a family's p-values that are below each number: a diagonal, if they are uniform."""
    drawing = figure(8.0, 4.2)
    left, right = drawing.subplots(1, 2)
    families = [name for name in p if len(p[name]) >= 20]
    for panel, names in ((left, families[: len(families) // 2]), (right, families[len(families) // 2 :])):
        panel.plot([0, 1], [0, 1], color="#888888", linewidth=1)
        for i, name in enumerate(names):
            x = np.sort(p[name])
            curve = line(i) | {"marker": None, "linewidth": 1.2}
            panel.step(x, np.arange(1, len(x) + 1) / len(x), where="post", label=name.replace("_", " "), **curve)
        panel.set(xlabel="p", ylabel="share of the p-values below", xlim=(0, 1), ylim=(0, 1), aspect="equal")
        panel.legend(fontsize=8)
    return drawing


@style()
def quality_controls(right, flawed):
    """The smallest p-value of each family, of right samples and of each control, to 10^-40."""
    drawing = figure(8.0, 4.2)
    panel = drawing.subplots()
    names = [name for name in right if name in flawed]
    for i, name in enumerate(names):
        numbers = np.maximum(flawed[name], 1e-40)
        controls = panel.semilogx(numbers, np.full(len(numbers), i), "x", color=COLOURS[1])[0]
        ours = panel.semilogx(min(right[name]), i, "o", color=COLOURS[0])[0]
    panel.set(xlabel="smallest p-value (those below 1e-40 at 1e-40)", yticks=range(len(names)))
    panel.set_yticklabels([name.replace("_", " ") for name in names])
    panel.invert_yaxis()
    panel.legend([ours, controls], ["right samples", "a flaw each"], loc="upper center")
    return drawing


def draw(folder):
    """Draw all pictures into a folder, as SVG."""
    folder.mkdir(parents=True, exist_ok=True)
    diagnoses = {name: diagnostics.diagnose(scheme=name, seed=0) for name in ("small", "big", "xavier")}
    activations = {name: diagnosis.activations for name, diagnosis in diagnoses.items()}
    gradients = {name: diagnosis.gradients for name, diagnosis in diagnoses.items()}
    right, flawed = quality.table.p_values(quality.table.newest())
    for name, picture in (
        ("saturation", saturation()),
        ("box_muller", box_muller()),
        ("spread", plots.spread(activations)),
        ("histograms", plots.histograms(activations)),
        ("gradient_flow", plots.gradient_flow(gradients)),
        ("cuts", cuts()),
        ("quality_together", quality_together(right)),
        ("quality_controls", quality_controls(right, flawed)),
    ):
        plots.save(picture, folder / f"{name}.svg")


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
