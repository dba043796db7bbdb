"""The code of each page in docs/ runs from top to bottom with the printed output; the guide's as notebooks."""

import contextlib
import hashlib
import importlib.util
import io
import re
import sys
from pathlib import Path

import pytest

from pyinit import Stream

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "```python" in path.read_text())
# The packages that a page needs in addition to those of the tests.
PACKAGES = {
    "pytorch": ["torch"],
    "jax": ["jax", "flax", "equinox"],
    "files": ["transformers"],
    "keras": ["keras"],
    "many_machines": ["torch", "jax", "dask.array"],
}
OLDEST = {"jax": "0.9", "torch": "2.6"}
# A block of Python, and the block of text right below it, which is its output.
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.M | re.S)


def documents(name):
    """Import a module of docs/."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def required(page):
    for package in PACKAGES.get(page.stem, ()):
        pytest.importorskip(package, minversion=OLDEST.get(package))


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent != DOCS / "guide"], ids=lambda path: path.stem)
def test_the_code_of_a_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    required(page)
    text, names = page.read_text(), {"__name__": page.stem}
    for block in BLOCK.finditer(text):
        line = text[: block.start()].count("\n") + 2
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * (line - 1) + block[1], str(page), "exec"), names)
        assert printed.getvalue() == (block[2] or ""), f"{page.name}, line {line}"


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent == DOCS / "guide"], ids=lambda path: path.stem)
def test_the_notebook_of_a_page(page, tmp_path, monkeypatch):
    required(page)
    for package in ("nbformat", "nbclient", "ipykernel"):
        pytest.importorskip(package)
    notebook = documents("notebooks").notebook(page)
    sys.modules["nbformat"].validate(notebook)
    monkeypatch.setenv("PYTHONPATH", str(DOCS.parent))
    settings = {"timeout": 300, "resources": {"metadata": {"path": tmp_path}}}
    sys.modules["nbclient"].NotebookClient(notebook, **settings).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell, (code, text) in zip(cells, BLOCK.findall(page.read_text()), strict=True):
        streams = [output for output in cell.outputs if output.output_type == "stream"]
        printed = "".join(output.text for output in streams if output.name == "stdout")
        assert printed == text, f"{page.name}: {code}"


def test_links_and_pictures_in_a_notebook(tmp_path):
    pytest.importorskip("nbformat")
    notebooks = documents("notebooks")
    page = notebooks.GUIDE / "numpy.md"
    (tmp_path / "a.svg").write_text("<svg/>")
    links = "[A](gpu.md) [b](gpu.md#fill) [c](../x.md) [d](https://e.f)"
    text = f"{links} ![g]({tmp_path}/a.svg) ![h](../no.svg) {{py:func}}`i`"
    cell = notebooks.text_cell(text, page)
    assert cell.source == "[A](gpu.ipynb) [b](gpu.ipynb) c [d](https://e.f) ![g](attachment:a.svg) *h* `i`"
    assert cell.attachments == {"a.svg": {"image/svg+xml": "PHN2Zy8+"}}


def test_every_block_of_python_is_run():
    for page in PAGES:
        assert len(BLOCK.findall(page.read_text())) == page.read_text().count("```python")


def test_the_guide_has_its_pages():
    lists = re.findall(r"{toctree}.*?\n\n(.*?)```", (DOCS / "guide" / "index.md").read_text(), re.S)
    listed = [name for names in lists for name in names.split()]
    assert {path.stem for path in (DOCS / "guide").glob("*.md")} == {"index", *listed}
    assert {path.stem for path in PAGES} >= set(listed)


def test_the_picture_of_cuts_has_one_hash():
    pytest.importorskip("matplotlib")
    pictures = documents("pictures")
    whole = Stream(7).child("weight").normal((8, 8))
    hashes = [panel.get_xlabel() for panel in pictures.cuts().axes]
    assert hashes == [hashlib.sha256(whole).hexdigest()[:12]] * 5


def test_the_pictures_of_the_readme_are_of_the_newest_results():
    pytest.importorskip("matplotlib")
    pictures = documents("pictures")
    drawn = {path.stem: re.findall(r"<text[^>]*>([^<]*)", path.read_text()) for path in DOCS.glob("images/*.svg")}
    speeds = sorted(pictures.peers_of(pictures.newest_fills()).items(), key=lambda item: item[1])
    texts = [*(label for label, _ in speeds), *(f"{speed:,.4g}" for _, speed in speeds)]
    assert [text for text in drawn["peers"] if text in texts] == texts, "run docs/pictures.py"
    hashes = [panel.get_xlabel() for panel in pictures.cuts().axes]
    assert [text for text in drawn["one_hash"] if re.fullmatch("[0-9a-f]{12}", text)] == hashes, "run docs/pictures.py"


PUBLISHED = [DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md"))]


@pytest.mark.parametrize("page", PUBLISHED, ids=lambda path: path.stem)
def test_code_fits_the_page(page):
    blocks = re.findall(r"^```[a-z]+\n(.*?)^```", page.read_text(), re.M | re.S)
    assert [line for block in blocks for line in block.splitlines() if len(line) > 88] == []
