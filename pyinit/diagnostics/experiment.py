"""The notebook page's experiment: initialise a deep network of equal layers by a scheme, and measure it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, SupportsIndex

from pyinit import initializers
from pyinit.diagnostics.backward import Gradients, gradients
from pyinit.diagnostics.forward import Activations, activations
from pyinit.diagnostics.layers import numbers
from pyinit.diagnostics.moments import Measured, cell, percent, present
from pyinit.network import Dense, Network
from pyinit.network.checks import count
from pyinit.streams import Stream

__all__ = ["PAGE_STDS", "Diagnosis", "diagnose", "meanings"]

PAGE_STDS = (
    (initializers.small(), (0.213, 0.0476, 0.0106, 0.00239, 0.00054)),
    (initializers.big(), (0.982,) * 10),
    (initializers.lecun_normal(), (0.627, 0.486, 0.409, 0.357, 0.320, 0.293, 0.271, 0.256, 0.243, 0.231)),
    # If fan_in equals fan_out, both of Xavier's variances are 1 / fan_in, the page's variance.
    (initializers.xavier_normal(), (0.627, 0.486, 0.409, 0.357, 0.320, 0.293, 0.271, 0.256, 0.243, 0.231)),
)
"""The stds that the notebook page prints for its tanh layers of 500 units, from the first layer on, by scheme."""

MEANINGS = {
    "activation": "the function at the end of the layer; linear if it has none, block for the end of a block of "
    "layers, such as a residual sum",
    "mean": "the average of all the layer's outputs for the batch",
    "std": "the standard deviation of these values: their typical distance from the mean. It should stay about the "
    "same from layer to layer",
    "page's std": "the value that the notebook page on weight initialisation prints for this experiment, to compare",
    "std of rows": "how much a unit's value differs between the rows of the batch (std, root mean square over units): "
    "how much of the input is left. At 0 nothing is left",
    "saturated": "the share of values near an end of the activation's range, where a unit hardly learns: |a| > 0.99 "
    "for tanh, a < 0.01 or a > 0.99 for sigmoid. For softmax, the share of rows with an a > 0.99",
    "dead": "the share of units that are 0 for every row of the batch. They learn nothing from it",
    "gradient": "the std of the gradient with respect to the layer's output. It starts at the last layer with std 1, "
    "and should keep that size on its way back",
    "zero": "the share of that gradient that is exactly 0",
    "not finite": "the share of values that are infinite or NaN, of activations and gradients together",
}


@dataclass(frozen=True, eq=False, repr=False)
class Diagnosis(Measured):
    """The activations and gradients of a network, with a verdict.

    `diagnose` returns one. Or make one for a network of your own, for `pyinit.plots.overview` and
    `pyinit.report.html`: ``Diagnosis(activations(net, x), gradients(net, x))``.

    Attributes
    ----------
    activations : Activations
    gradients : Gradients
    page : tuple of float
        The stds of the activations on the notebook page, from the first layer on; empty if it has none.
    network : str
        The network, for titles: "10 tanh layers of 500 units, seed 0".
    """

    activations: Activations
    gradients: Gradients
    page: tuple[float, ...] = ()
    network: str = ""

    @property
    def verdict(self) -> str:
        """What is wrong with the activations and with the gradients, in words; "healthy" if nothing is."""
        forward, backward = self.activations.verdict, self.gradients.verdict
        return "healthy" if forward == backward == "healthy" else f"Activations: {forward}. Gradients: {backward}."

    def table(self) -> tuple[list[str], list[tuple[str, ...]]]:
        """Return the table's columns and rows as text, one row per layer, without empty columns.

        Returns
        -------
        columns : list of str
        rows : list of tuple of str
            The arguments of `pyinit.terminal.Output.table`.
        """
        a, g = self.activations, self.gradients
        layers = len(a.std)
        named = a.name != numbers(layers) or {"linear", "block"} & {*a.activation}  # of a PyTorch model
        return present(
            [
                ("layer", list(a.name)),
                ("activation", [*a.activation] if named else [""] * layers),
                ("mean", [*map(cell, a.mean)]),
                ("std", [*map(cell, a.std)]),
                ("page's std", ([f"{std:g}" for std in self.page] + [""] * layers)[:layers]),
                ("std of rows", [*map(cell, a.row_std)]),
                ("saturated", [*map(percent, a.saturated)]),
                ("dead", [*map(percent, a.dead)]),
                ("gradient", [*map(cell, g.std)]),
                ("zero", [*map(percent, g.zero)]),
                ("not finite", [percent(s) if s else "" for s in (a.non_finite + g.non_finite) / 2]),
            ]
        )


def diagnose(
    layers: SupportsIndex = 10,
    width: SupportsIndex = 500,
    scheme: Any = "xavier",
    activation: str = "tanh",
    batch: SupportsIndex = 1000,
    seed: int | None = 0,
    generator: str = "philox",
    device: str = "cpu",
) -> Diagnosis:
    """Initialise a network of equal layers, pass a batch forward and a gradient back, and measure both.

    The rows of the batch are standard normal, and so is the gradient at the output; biases are 0.

    Parameters
    ----------
    layers : int, at least 1
    width : int, at least 1
        The number of inputs, and of units in every layer.
    scheme : str, dict or scheme
        The weights' scheme, in any form that `pyinit.initializers.scheme` takes.
    activation : str
        The activation of every layer; see `pyinit.network.Dense`.
    batch : int, at least 2
        The number of rows.
    seed : int or None
        In [0, 2**64). With None, the operating system chooses.
    generator : {"philox", "ars5", "ars7"}
    device : {"cpu", "cuda"}
        The network's device, as for `pyinit.network.Network`.

    Returns
    -------
    Diagnosis

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid.
    ImportError, RuntimeError
        If the device is "cuda" and CuPy, the driver or a GPU is missing.

    Source
    ------
    The notebook page on weight initialisation and activations, with 10 layers of 500 tanh units.

    Examples
    --------
    >>> diagnosis = diagnose(layers=10, width=500, scheme="xavier", seed=0)
    >>> [round(float(std), 2) for std in diagnosis.activations.std[:5]]
    [0.63, 0.48, 0.41, 0.36, 0.32]
    >>> diagnosis.page[:5], diagnosis.verdict
    ((0.627, 0.486, 0.409, 0.357, 0.32), 'healthy')
    >>> diagnosis.network
    '10 tanh layers of 500 units, seed 0'
    """
    layers, width, batch = count(layers, 1, "layers"), count(width, 1, "width"), count(batch, 2, "batch")
    scheme = initializers.scheme(scheme)
    stream = Stream(seed, generator)
    net = Network(width, [Dense(width, activation)] * layers, device=device)
    net.initialize(stream, weights=scheme)
    x = stream.child("x").normal((batch, width))
    return Diagnosis(
        activations(net, x),
        gradients(net, x, stream.child("gradient")),
        page_stds(layers, width, scheme, activation),
        f"{plural(layers, f'{activation} layer')} of {plural(width, 'unit')}, seed {stream.seed}",
    )


def plural(count: int, what: str) -> str:
    """Count things in words.

    Examples
    --------
    >>> plural(1, "unit"), plural(500, "unit")
    ('1 unit', '500 units')
    """
    return f"{count} {what}{'s' * (count != 1)}"


def page_stds(layers: int, width: int, scheme: Any, activation: str) -> tuple[float, ...]:
    """Return the page's stds if this is its experiment, from the first layer on; otherwise ()."""
    if layers > 10 or width != 500 or activation != "tanh":
        return ()
    return next((stds[:layers] for known, stds in PAGE_STDS if known == scheme), ())


def meanings(diagnoses: Iterable[Diagnosis]) -> dict[str, str]:
    """Explain the columns in the tables of some diagnoses.

    Examples
    --------
    >>> meanings([diagnose(layers=2, width=50, activation="relu")])["dead"]
    'the share of units that are 0 for every row of the batch. They learn nothing from it'
    """
    shown = {column for diagnosis in diagnoses for column in diagnosis.table()[0]}
    return {column: meaning for column, meaning in MEANINGS.items() if column in shown}
