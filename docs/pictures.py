"""The guide's pictures, which every build draws from what pyinit computes, and the README's.

python docs/pictures.py    draws the README's pictures into docs/images/, one from the newest results in benchmarks/
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
import page
import quality.table

from pyinit import Stream, diagnostics, initialize, plots
from pyinit.models import Cut, shards
from pyinit.plots.canvas import COLOURS, INK, figure, line, style

HERE = Path(__file__).parent


@style()
def saturation():
    """The sigmoid and the tanh, and beside them their slopes."""
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
    """Uniform points and the normal points that Box-Muller makes from them; u below 0.2 is in another colour."""
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


# Five ways to cut a tensor: the number of parts, and the cuts of part k.
CUTS = {
    "rows": (4, lambda k: [Cut(0, 4, k)]),
    "columns": (4, lambda k: [Cut(1, 4, k)]),
    "a 2 x 2 mesh": (4, lambda k: [Cut(0, 2, k // 2), Cut(1, 2, k % 2)]),
    "FSDP2 after\ntensor parallelism": (4, lambda k: [Cut(0, 2, k // 2, stride=2), Cut(0, 2, k % 2)]),
    "uneven rows": (3, lambda k: [Cut(0, 3, k)]),
}


@style()
def cuts(size=8):
    """One tensor, cut in five ways and filled part by part, with the hash of the whole tensor."""
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
    """Yield the offset in the tensor and the values of each block that one process fills."""
    held = shards(shape, held_by_cuts)
    local = np.empty([max(shard.where[dim].stop for shard in held) for dim in range(len(shape))], np.float32)
    initialize({"weight": local}, 7, {"*": "normal"}, shards={"weight": held})
    yield from ((shard.offset, local[shard.where]) for shard in held)


# The steps of a kernel, one column each: the text and the height of each box.
STEPS = (
    (("seed", 0.8), ("parameter's name,\nhashed", 0.5), ("index in the\nwhole tensor", 0.2)),
    (("key", 0.8), ("counter", 0.35)),
    (("cipher:\nPhilox or ARS", 0.5),),
    (("4 words\nof 32 bits", 0.5),),
    (("Box-Muller\nor inverse CDF", 0.5),),
    (("mean + std · z,\nrounded to\nthe dtype", 0.5),),
    (("the element,\nby the array's\nstrides", 0.5),),
)
ARROWS = (
    ((0, 0), (1, 0)), ((0, 1), (1, 1)), ((0, 2), (1, 1)), ((1, 0), (2, 0)), ((1, 1), (2, 0)),
    ((2, 0), (3, 0)), ((3, 0), (4, 0)), ((4, 0), (5, 0)), ((5, 0), (6, 0)),
)  # fmt: skip


@style()
def kernel():
    """How a seed, a name and an index become a weight; the steps that differ between lanes are in another colour."""
    drawing = figure(10.0, 2.6)
    axes = drawing.subplots()
    axes.set(xlim=(-0.6, 6.6), ylim=(0, 1))
    axes.axis("off")
    boxes = {}
    for x, column in enumerate(STEPS):
        for i, (text, y) in enumerate(column):
            colour = COLOURS[1] if (x, i) == (0, 2) or x > 1 or (x, i) == (1, 1) else COLOURS[0]
            look = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": colour, "linewidth": 1.5}
            boxes[x, i] = axes.text(x, y, text, ha="center", va="center", fontsize=9, bbox=look)
    for begin, end in ((boxes[a], boxes[b]) for a, b in ARROWS):
        ends = {"patchA": begin.get_bbox_patch(), "patchB": end.get_bbox_patch()}
        look = {"arrowstyle": "->", "color": INK, **ends}
        axes.annotate("", xy=end.get_position(), xytext=begin.get_position(), arrowprops=look)
    axes.text(0, 0.99, "the same for all", color=COLOURS[0], fontsize=9, ha="center", va="top")
    axes.text(
        4, 0.06, "16 lanes at once with AVX-512, a lane per thread on a GPU", color=COLOURS[1], fontsize=9, ha="center"
    )
    return drawing


@style()
def quality_together(p):
    """The share of a family's p-values below each number: the diagonal if they are uniform."""
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
    """The smallest p-value of each family, for right samples and for each control, down to 10^-40."""
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
    panel.legend([ours, controls], ["right samples", "one flaw each"], loc="upper center")
    return drawing


# The bars of the README's picture: names in the results begin with the key, and the fastest of them counts.
PEERS = {
    "ars5 normal float32": "pyinit, ARS-5",
    "ars7 normal float32": "pyinit, ARS-7",
    "philox normal float32": "pyinit, Philox",
    "memset": "memset: the same bytes, no samples",
    "MKL ": "Intel MKL, its fastest normals",
    "PyTorch normal_ float32": "PyTorch normal_",
    "NumPy ": "NumPy, its fastest normals",
    "JAX ": "JAX, its fastest normals into new memory",
}


def newest_fills():
    """Return the newest results of bench_fill.py with peers."""
    files = sorted((HERE.parent / "benchmarks" / "results").glob("*-avx512.json"))
    return json.loads(files[-1].read_text())


def peers_of(result):
    """Return the GB/s at which memset and each peer's float32 normals fill one buffer on all threads."""
    threads = max(f["threads"] for f in result["fills"])
    speed = {
        f["name"]: 4e-9 * f["samples"] / f["median_seconds"]
        for f in result["fills"]
        if f["threads"] == threads and f["name"].endswith(("normal float32", "normal_ float32", "memset"))
    }
    return {label: max(s for name, s in speed.items() if name.startswith(start)) for start, label in PEERS.items()}


def peers():
    """The throughput of pyinit and its peers, fastest first, on the machine of the newest results."""
    result = newest_fills()
    threads = max(f["threads"] for f in result["fills"])
    machine = result["machine"]["cpu"].partition(" (family")[0].replace("(R)", "").replace(" Processor", "")
    drawing = page.bars(peers_of(result), "GB/s")
    drawing.suptitle(f"55 million float32 normals, {threads} threads of an {machine} with AVX-512")
    drawing.axes[0].invert_yaxis()
    return drawing


def draw_readme(folder):
    """Draw the README's pictures as SVG, with words as text."""
    from matplotlib import rc_context

    folder.mkdir(exist_ok=True)
    for name, picture in (("one_hash", cuts()), ("peers", peers())):
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": "pyinit"}):
            picture.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})


def draw(folder):
    """Draw all pictures into a folder, as SVG."""
    folder.mkdir(parents=True, exist_ok=True)
    diagnoses = {name: diagnostics.diagnose(scheme=name, seed=0) for name in ("small", "big", "xavier")}
    activations = {name: diagnosis.activations for name, diagnosis in diagnoses.items()}
    gradients = {name: diagnosis.gradients for name, diagnosis in diagnoses.items()}
    network = plots.network_of(diagnoses)
    right, flawed = quality.table.p_values(quality.table.newest())
    for name, picture in (
        ("saturation", saturation()),
        ("box_muller", box_muller()),
        ("spread", plots.spread(activations, title=network)),
        ("histograms", plots.histograms(activations, title=network)),
        ("gradient_flow", plots.gradient_flow(gradients, title=network)),
        ("cuts", cuts()),
        ("kernel", kernel()),
        ("quality_together", quality_together(right)),
        ("quality_controls", quality_controls(right, flawed)),
    ):
        plots.save(picture, folder / f"{name}.svg")


if __name__ == "__main__":
    draw_readme(HERE / "images")
