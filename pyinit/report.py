"""A diagnosis as one HTML page that needs nothing else: tables, verdicts and pictures, for a screen of any size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from pyinit import plots
from pyinit.diagnostics import Diagnosis, meanings

if TYPE_CHECKING:
    from pyinit.plots.canvas import Figure

__all__ = ["html"]

STYLE = """
:root { color-scheme: light dark; --ink: #262626; --ground: #ffffff; --line: #d0d0d0; --quiet: #5c5c5c; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --ground: #1b1b1d; --line: #47474c; --quiet: #a8a8ad; }
}
body { margin: 0 auto; padding: 1rem; max-width: 62rem; font: 1rem/1.5 system-ui, sans-serif;
  color: var(--ink); background: var(--ground); }
h1 { font-size: 1.5rem; line-height: 1.25; }
h2 { font-size: 1.2rem; margin-top: 2.5rem; overflow-wrap: anywhere; }
.verdict { border-left: 0.25rem solid #D55E00; padding-left: 0.75rem; }
.verdict.healthy { border-color: #009E73; }
.wide { overflow-x: auto; }
.wide img { display: block; max-width: 100%; min-width: 40rem; height: auto; margin: 0 auto; }
figure { margin: 1rem 0; }
figcaption, .note { color: var(--quiet); font-size: 0.9rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { padding: 0.2rem 0.8rem 0.2rem 0; text-align: right; border-bottom: 1px solid var(--line); }
""".strip()


def html(diagnoses: Mapping[str, Diagnosis], title: str, text: str) -> str:
    """Write a page about what schemes do to a network.

    Parameters
    ----------
    diagnoses : mapping of str to Diagnosis
        By the scheme's name.
    title : str
    text : str
        A paragraph that says what was done.

    Returns
    -------
    str
        HTML with its style and pictures inside, without scripts or links. It holds no date and no version: the same
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
    >>> page = html({"small": diagnose(layers=3, width=50, scheme="small")}, "Small weights", "3 layers of 50.")
    >>> page.startswith("<!DOCTYPE html>"), "vanishes" in page
    (True, True)
    """
    activations = {name: d.activations for name, d in diagnoses.items()}
    gradients = {name: d.gradients for name, d in diagnoses.items()}
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(text)}</p>",
        picture(plots.spread(activations), "Means and standard deviations (std) of the activations by layer."),
        picture(
            plots.gradient_flow(gradients),
            "Std of the gradient with respect to each layer's output, given with std 1 at the output.",
        ),
        picture(plots.histograms(activations), "Histograms of the activations in each layer."),
    ]
    for name, diagnosis in diagnoses.items():
        healthy = " healthy" if diagnosis.verdict == "healthy" else ""
        parts += [
            f"<h2>{escape(name)}</h2>",
            f'<p class="verdict{healthy}">{escape(diagnosis.verdict)}</p>',
            table(*diagnosis.table()),
        ]
    parts += ["<h2>What the columns are</h2>", "<dl>"]
    parts += [
        f'<dt>{escape(column)}</dt><dd class="note">{escape(meaning)}</dd>'
        for column, meaning in meanings(diagnoses.values()).items()
    ]
    parts.append("</dl>")
    return document(escape(title), "\n".join(parts))


def document(title: str, body: str) -> str:
    """Put a body into a page."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def picture(figure: Figure, caption: str) -> str:
    """Put a figure above its caption, which a screen reader reads too. It keeps its white ground on a dark page."""
    image = f'<img src="{plots.data_uri(figure)}" alt="{escape(caption)}">'
    return f'<figure><div class="wide">{image}</div><figcaption>{escape(caption)}</figcaption></figure>'


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table."""
    head = "".join(f'<th scope="col">{escape(c)}</th>' for c in columns)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'
