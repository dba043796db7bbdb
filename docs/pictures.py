"""The guide's pictures, drawn anew by every build from what pyinit computes."""

import sys
from pathlib import Path

import numpy as np

from pyinit import Stream, diagnostics, plots
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


def draw(folder):
    """Draw all pictures into a folder, as SVG."""
    folder.mkdir(parents=True, exist_ok=True)
    diagnoses = {name: diagnostics.diagnose(scheme=name, seed=0) for name in ("small", "big", "xavier")}
    activations = {name: diagnosis.activations for name, diagnosis in diagnoses.items()}
    gradients = {name: diagnosis.gradients for name, diagnosis in diagnoses.items()}
    for name, picture in (
        ("saturation", saturation()),
        ("box_muller", box_muller()),
        ("spread", plots.spread(activations)),
        ("histograms", plots.histograms(activations)),
        ("gradient_flow", plots.gradient_flow(gradients)),
    ):
        plots.save(picture, folder / f"{name}.svg")


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
