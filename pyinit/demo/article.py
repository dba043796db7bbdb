"""`pyinit demo`: the article's experiments, and its large network, initialised in several ways.

The article is Dragan Djuric, "Deep Learning from Scratch to GPU, 13, Initializing Weights", 2019.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyinit import bench, initializers, isa, machine
from pyinit.network import Dense, Network, train
from pyinit.streams import Stream
from pyinit.terminal import Output, steps

__all__ = ["run"]

SIZES = (10_000, 5_000, 1_000, 10)
QUICK_SIZES = (1_000, 500, 100, 10)
BATCH = 64
# Milliseconds for 55,010,000 normals: the article's own figures, on its author's machine.
ARTICLE = (("article's JVM, not measured", 14_344), ("article's MKL, not measured", 209))

Fill = Callable[[str, NDArray[Any]], object]


def run(output: Output, seed: int = 1, quick: bool = False) -> None:
    """Show the article's experiments and the speed of this machine.

    Parameters
    ----------
    output : Output
    seed : int
        In [0, 2**64). It determines all of pyinit's random numbers.
    quick : bool
        A network of 551,000 weights instead of 55,010,000.
    """
    here = machine.describe()
    output.text(
        f"pyinit {here['versions']['pyinit']} fills arrays with random initial weights: one seed gives the same "
        f"bits on every processor and for every number of threads. Here the seed is {seed}, the processor "
        f"{here['cpu']} with the instruction set {here['tier']}, and a fill may run on {plural(here['processors'])}."
    )
    sizes = QUICK_SIZES if quick else SIZES
    show_toy(output, seed)
    net = Network(sizes[0], [Dense(sizes[1], "tanh"), Dense(sizes[2], "tanh"), Dense(sizes[3], "sigmoid")])
    show_speed(output, net, seed)
    show_bits(output, net, seed)
    show_spread(output, net, seed)
    output.section(
        "What next",
        "`pyinit demo --train` shows what such weights do to learning, `pyinit diagnose` what they do to ten layers, "
        "and `pyinit bench` times every fill on this machine. `pyinit schemes` lists all schemes; "
        "`pyinit.Stream(seed).fill_normal(weights, std=0.02)` fills your own array.",
    )


def toy_networks(seed: int) -> Iterator[tuple[str, Network]]:
    """Yield the article's network of 2 inputs, 4 tanh units and 1 sigmoid unit, with each kind of initial weights."""

    def network() -> Network:
        return Network(2, [Dense(4, "tanh"), Dense(1, "sigmoid")])

    for name, w1, b1, w2, b2 in (
        ("by hand, small", [0.3, 0.1, 0.9, 0.0, 0.6, 2.0, 3.7, 1.0], [0.7, 0.2, 1.1, 2], [0.75, 0.15, 0.22, 0.33], 0.3),
        ("by hand, large", [3, 1, 9, 0, 6, 20, 37, 10], [7, 2, 11, 2], [75, 15, 22, 33], 3),
    ):
        net = network()
        hidden, out = net.layers
        # The article stores a matrix by columns, and its layers subtract the bias.
        hidden.weights[...] = np.reshape(w1, (4, 2), order="F")
        hidden.bias[...] = -np.asarray(b1)
        out.weights[...] = w2
        out.bias[...] = -b2
        yield name, net
    for name, scheme in schemes():
        net = network()
        net.initialize(seed=seed, weights=scheme)
        yield name, net


def schemes() -> list[tuple[str, initializers.Normal | initializers.Uniform | initializers.VarianceScaling]]:
    """List the article's schemes, in its order."""
    return [
        ("uniform in [0, 1)", initializers.uniform(0.0, 1.0)),
        ("Gaussian, std 1", initializers.normal(std=1.0)),
        ("Xavier", initializers.xavier_normal()),
    ]


def show_toy(output: Output, seed: int) -> None:
    """Train the small network from each start."""
    output.section(
        "1. A small network learns or does not: its initial weights decide",
        "2 inputs, 4 tanh units, 1 sigmoid unit; 2000 epochs at rate 0.05 on two rows (0.3, 0.9) with the target 0.5. "
        "A unit learns in proportion to the slope of its activation function. Large weights push a sigmoid to its end "
        "(saturation), where that slope is 0.",
    )
    x, y = np.array([[0.3, 0.9]] * 2), np.array([[0.5]] * 2)
    rows = []
    for name, net in toy_networks(seed):
        before = float(net(x)[0, 0])
        train(net, x, y, loss="quadratic", epochs=2000, learning_rate=0.05)
        after = float(net(x)[0, 0])
        verdict = "learned" if abs(after - 0.5) < 0.005 else "stuck" if abs(after - before) < 0.005 else "on its way"
        rows.append((name, f"{before:.2f}", f"{before * (1 - before):.3f}", f"{after:.2f}", verdict))
    output.table(("initial weights", "output before", "slope there", "output after", "verdict"), rows)


def initialize(net: Network, fill: Fill) -> None:
    """Fill all weights of a network with Xavier's variance, and set its biases to 0, as `Network.initialize` does."""
    for i, layer in enumerate(net.layers):
        fill(f"layers.{i}.weights", layer.weights)
        layer.bias.fill(0)


def with_pyinit(net: Network, seed: int, generator: str, threads: int) -> None:
    """Initialise from a stream, on a given number of threads."""
    stream, scheme = Stream(seed, generator), initializers.xavier_normal()

    def fill(name: str, w: NDArray[Any]) -> None:
        stream.child(name).fill_normal(w, std=scheme.std(w.shape), num_threads=threads)

    initialize(net, fill)


def with_numpy(net: Network, seed: int) -> None:
    """Initialise from NumPy's default generator. Its float32 normals have std 1, so a second pass scales them."""
    rng, scheme = np.random.default_rng(seed), initializers.xavier_normal()

    def fill(name: str, w: NDArray[Any]) -> None:
        rng.standard_normal(out=w, dtype=np.float32)
        w *= scheme.std(w.shape)

    initialize(net, fill)


def network_cases(net: Network, seed: int) -> list[bench.Case]:
    """List the timed ways to initialise the network."""
    arrays = [a for layer in net.layers for a in (layer.weights, layer.bias)]
    samples, size = sum(layer.weights.size for layer in net.layers), sum(a.nbytes for a in arrays)
    cases = [
        bench.python_case(net.layers[0].weights, full=samples),
        bench.Case("NumPy PCG64", partial(with_numpy, net, seed), samples, size),
    ]
    for threads in bench.thread_counts():
        cases += [
            bench.Case(f"pyinit {g}", partial(with_pyinit, net, seed, g, threads), samples, size, threads)
            for g in bench.GENERATORS
        ]
        cases.append(bench.Case("memset", bench.memset(arrays, threads), samples, size, threads))
    return cases


def show_speed(output: Output, net: Network, seed: int) -> None:
    """Time the initialisation of the large network."""
    weights, biases = sum(layer.weights.size for layer in net.layers), sum(layer.bias.size for layer in net.layers)
    sizes = " -> ".join(str(n) for n in (net.inputs, *(len(layer.bias) for layer in net.layers)))
    output.section(
        f"2. A network of {weights:,} weights: {sizes}",
        f"One network in memory: each of these ways, in turn, writes its {weights:,} weights (float32, Xavier) and "
        f"{biases:,} biases again; pyinit uses each of its three generators. Times are medians, and "
        "million/s counts samples.",
    )
    cases, repetitions = network_cases(net, seed), 7
    with steps(len(cases) * (1 + repetitions)) as tell:
        timings = bench.measure(cases, repetitions, budget=2.0, progress=tell)
    rows = [speed_row(t, timings) for t in timings]
    rows += [(name, "", f"{milliseconds:,}", "", "", "") for name, milliseconds in ARTICLE]
    output.table(("", "threads", "ms", "million/s", "to memset", "vs NumPy"), rows)
    best = min((t for t in timings if t.case.name.startswith("pyinit")), key=lambda t: t.median)
    for note in (
        f"The fastest here: {best.case.name} on {plural(best.case.threads)}, {weights:,} weights in "
        f"{best.median * 1e3:,.1f} ms.",
        "To memset: the time divided by memset's, for the same memory and number of threads. memset is the C "
        "library's function that sets bytes to one value and computes nothing. The ratio can be below 1, because "
        "large fills write past the caches and memset may not.",
        "Vs NumPy: how many times as fast as NumPy, both on one thread.",
        f"Extrapolated: {cases[0].samples:,} samples of the article's scalar Box-Muller were timed, and the time was "
        "scaled up.",
        "Not measured: the article's own figures for 55,010,000 samples, on its author's machine in 2019: scalar "
        "Box-Muller on the JVM, and MKL's ARS5 with the copy to a GPU.",
    ):
        output.text(note)


def speed_row(timing: bench.Timing, timings: Sequence[bench.Timing]) -> tuple[str, ...]:
    """Format one line of the table of speeds."""
    case = timing.case
    memset, numpy = timing.over("memset", timings), timing.over("NumPy PCG64", timings)
    return (
        f"{case.name}, extrapolated" if case.full else case.name,
        str(case.threads),
        f"{timing.full * 1e3:,.1f}",
        f"{case.samples / timing.median / 1e6:,.1f}",
        f"{memset:,.2f}" if memset else "",
        times(1 / numpy) if numpy and case.name != "memset" else "",
    )


def plural(threads: int) -> str:
    """Format a number of threads."""
    return f"{threads} thread{'s' * (threads > 1)}"


def times(factor: float) -> str:
    """Format a speed ratio."""
    return f"{factor:,.1f}x" if factor >= 1 else f"{factor:.2g}x"


def show_bits(output: Output, net: Network, seed: int) -> None:
    """Show that neither the instruction set nor the number of threads changes a bit."""
    output.section(
        "3. One seed, one network",
        "The same network with each instruction set of this machine, on one thread and on all: the SHA-256 of "
        "all parameters shows whether a single bit differs.",
    )
    rows, ways = [], [(tier, threads) for tier in isa.available() for threads in bench.thread_counts()]
    with steps(len(ways) + 1) as tell:
        for tier, threads in ways:
            tell(tier)
            with isa.use(tier):
                with_pyinit(net, seed, "philox", threads)
            rows.append((tier, str(threads), digest(net)))
        tell("net.initialize")
        net.initialize(seed=seed)
        rows.append(("net.initialize(seed)", "", digest(net)))
    output.table(("instruction set", "threads", "SHA-256 begins with"), rows)
    output.text("All are equal." if len({row[-1] for row in rows}) == 1 else "THEY DIFFER: please report this.")


def digest(net: Network) -> str:
    """Hash all parameters of a network."""
    sha = hashlib.sha256()
    for layer in net.layers:
        sha.update(layer.weights.data)
        sha.update(layer.bias.data)
    return sha.hexdigest()[:16]


def show_spread(output: Output, net: Network, seed: int) -> None:
    """Pass a batch through the network under each scheme."""
    output.section(
        "4. What the weights do to a signal",
        f"{BATCH} rows of standard normal inputs pass through the network: the standard deviation (std) of each "
        "layer's output, and the share of the first layer's units in saturation (|tanh| > 0.99), which hardly learn.",
    )
    x = Stream(seed).child("batch").normal((BATCH, net.inputs))
    rows = []
    for name, scheme in schemes():
        net.initialize(seed=seed, weights=scheme)
        outputs = net.activations(x)
        saturated = float((np.abs(outputs[0]) > 0.99).mean())
        rows.append((name, *(f"{a.std():.3f}" for a in outputs), f"{saturated:.1%}"))
    columns = [f"std, layer {i + 1}" for i in range(len(net.layers))]
    output.table(("weights", *columns, "in saturation"), rows)
