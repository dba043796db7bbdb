"""A diagnosis as one self-contained HTML page: tables, verdicts and pictures, for a screen of any size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from pyinit import plots
from pyinit.diagnostics import Diagnosis, meanings
from pyinit.terminal import numeric

if TYPE_CHECKING:
    from pyinit.plots.canvas import Figure

__all__ = ["html"]

STYLE = """
:root { color-scheme: light dark; --ink: #262626; --ground: #ffffff; --line: #d0d0d0; --quiet: #5c5c5c; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --ground: #1a1a1a; --line: #47474c; --quiet: #a8a8ad; }
  img { filter: invert(0.92) hue-rotate(180deg) brightness(1.3); } /* the pictures' white becomes the page's ground */
}
body { margin: 0 auto; padding: 1rem; max-width: 62rem; font: 1rem/1.5 system-ui, sans-serif;
  color: var(--ink); background: var(--ground); overflow-wrap: anywhere; }
p, dl { max-width: 44rem; }
h1 { font-size: 1.5rem; line-height: 1.25; }
h2 { font-size: 1.2rem; margin-top: 2.5rem; }
dt { font-weight: 600; }
dd { margin: 0 0 0.75rem; }
.verdict { border-left: 0.25rem solid #D55E00; padding-left: 0.75rem; }
.verdict.healthy { border-color: #009E73; }
.wide { overflow-x: auto; }
.wide img { display: block; max-width: 100%; min-width: 40rem; height: auto; margin: 0 auto; }
.pictures { columns: 2 26rem; column-gap: 2rem; }
.pictures img { width: 100%; min-width: 0; }
figure { margin: 0 0 1.5rem; break-inside: avoid; }
figcaption, .note { color: var(--quiet); font-size: 0.9rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { padding: 0.2rem 0.8rem 0.2rem 0; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { position: sticky; left: 0; background: var(--ground); }
.words { text-align: left; }
.words:first-child { min-width: 10rem; white-space: normal; }
.table { mask-image: linear-gradient(to left, transparent, #000 0.8rem); } /* more columns are seen to follow */
""".strip()

READING = (
    "Nothing has been trained yet: this page shows what the initial weights alone do. A batch of random inputs goes "
    "forward through the layers. The outputs of a layer are its activations. Then a gradient goes back from the output "
    "to the first layer. It is the signal by which weights learn.",
    "Good weights keep both at about the same size from layer to layer. A network whose activations or gradients fade, "
    "blow up or stand still learns slowly or not at all.",
)

WORDS = {
    "healthy": "activations and gradients keep their size, and the units work.",
    "vanishes": "the values become smaller with every layer. Little of the input, or of the gradient, arrives.",
    "explodes": "the values become larger with every layer. Training takes steps that are too large, and diverges.",
    "overflows": "values became too large for the number format: infinite, or NaN (not a number).",
    "silent": "a layer gives the same output for every input. The layers after it learn nothing about the input.",
    "saturated": "many values are at the ends of the activation's range, where its curve is flat and lets hardly any "
    "gradient through.",
    "dead": "many units give 0 for every input of the batch. They pass nothing on and learn nothing.",
    "blocked": "much of the gradient is exactly 0. The weights before it learn nothing from the batch.",
}
"""The meanings of the words in a verdict, for a reader who is new to them."""


def html(diagnoses: Mapping[str, Diagnosis], title: str, text: str) -> str:
    """Write an HTML page about the effects of schemes on a network.

    Parameters
    ----------
    diagnoses : mapping of str to Diagnosis
        Maps the name of each scheme to its diagnosis.
    title : str
    text : str
        A paragraph that describes the experiment.

    Returns
    -------
    str
        HTML with its style and pictures inside, without scripts or links. It has no date or version, so the same
        diagnoses give the same text.

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError
        If there are no diagnoses.

    Examples
    --------
    >>> from pyinit.diagnostics import diagnose
    >>> small = diagnose(layers=3, width=50, scheme="small")
    >>> page = html({"small": small}, "Small weights", "3 layers of 50.")
    >>> page.startswith("<!DOCTYPE html>"), "vanishes" in page
    (True, True)
    """
    activations = {name: d.activations for name, d in diagnoses.items()}
    gradients = {name: d.gradients for name, d in diagnoses.items()}
    network = plots.network_of(diagnoses)
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(text)}</p>",
        *(f"<p>{paragraph}</p>" for paragraph in READING),
        "<h2>Verdicts</h2>",
        *map(verdict, diagnoses, diagnoses.values()),
        definitions(words_of(diagnoses)),
        "<h2>Layer by layer</h2>",
        '<div class="pictures">',
        picture(
            plots.spread(activations, title=network),
            "Activations: their mean, and how widely they spread around it (std, the standard deviation). A level line "
            "is good. The scale of the std is logarithmic: each step multiplies it.",
        ),
        picture(
            plots.gradient_flow(gradients, title=network),
            "Gradients: their std at each layer's output. They start at the right with std 1 and go back to the left. "
            "A level line is good.",
        ),
        picture(
            plots.histograms(activations, title=network),
            "Histograms of the activations: which values a layer gives, and how often. They should neither collapse "
            "into one value nor pile up at the ends.",
        ),
        "</div>",
        "<h2>The numbers</h2>",
        definitions(meanings(diagnoses.values())),
    ]
    for name, diagnosis in diagnoses.items():
        parts += [f"<h3>{escape(name)}</h3>", table(*diagnosis.table())]
    return document(escape(title), "\n".join(parts))


def verdict(name: str, diagnosis: Diagnosis) -> str:
    """Write the verdict on a scheme."""
    healthy = " healthy" if diagnosis.verdict == "healthy" else ""
    return f'<p class="verdict{healthy}"><b>{escape(name)}</b><br>{escape(diagnosis.verdict)}</p>'


def words_of(diagnoses: Mapping[str, Diagnosis]) -> dict[str, str]:
    """Return the meanings of the words in the verdicts."""
    said = " ".join(diagnosis.verdict for diagnosis in diagnoses.values())
    return {word: meaning for word, meaning in WORDS.items() if word in said}


def definitions(meanings: Mapping[str, str]) -> str:
    """Write a list of words and their meanings."""
    entries = (
        f'<dt>{escape(word)}</dt><dd class="note">{escape(meaning[0].upper() + meaning[1:].rstrip("."))}.</dd>'
        for word, meaning in meanings.items()
    )
    return "\n".join(["<dl>", *entries, "</dl>"])


def document(title: str, body: str) -> str:
    """Put a body into a page."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def picture(figure: Figure, caption: str) -> str:
    """Put a figure above its caption, also its text for screen readers. On a dark page its lightness is inverted."""
    image = f'<img src="{plots.data_uri(figure)}" alt="{escape(caption)}">'
    return f'<figure><div class="wide">{image}</div><figcaption>{escape(caption)}</figcaption></figure>'


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table."""
    kinds = ["" if is_number else ' class="words"' for is_number in numeric(rows)]
    head = "".join(f'<th scope="col"{kind}>{escape(c)}</th>' for c, kind in zip(columns, kinds))
    body = "\n".join(
        "<tr>" + "".join(f"<td{kind}>{escape(c)}</td>" for c, kind in zip(row, kinds)) + "</tr>" for row in rows
    )
    return (
        '<div class="wide table" tabindex="0"><table>\n'  # focus lets the keyboard scroll it
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>"
    )
