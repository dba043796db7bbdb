"""The code in docs/: each page's Python runs from its top to its bottom, and prints what stands below it."""

import contextlib
import hashlib
import importlib.util
import io
import re
from pathlib import Path

import pytest

from pyinit import Stream

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "```python" in path.read_text())
# What a page needs beyond the packages of the tests.
PACKAGES = {
    "pytorch": ["torch"],
    "jax": ["jax", "flax", "equinox"],
    "files": ["transformers"],
    "keras": ["keras"],
    "many_machines": ["torch", "jax", "dask.array"],
}
OLDEST = {"jax": "0.9", "torch": "2.6"}
# A block of Python, and the block of text right below it, which is what it prints.
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.M | re.S)


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras's, of NumPy 2
@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_the_code_of_a_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for package in PACKAGES.get(page.stem, ()):
        pytest.importorskip(package, minversion=OLDEST.get(package))
    text, names = page.read_text(), {"__name__": page.stem}
    for block in BLOCK.finditer(text):
        line = text[: block.start()].count("\n") + 2
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * (line - 1) + block[1], str(page), "exec"), names)
        assert printed.getvalue() == (block[2] or ""), f"{page.name}, line {line}"


def test_every_block_of_python_is_run():
    for page in PAGES:
        assert len(BLOCK.findall(page.read_text())) == page.read_text().count("```python")


def test_the_guide_has_its_pages():
    listed = re.search(r"{toctree}.*?\n\n(.*?)```", (DOCS / "guide" / "index.md").read_text(), re.S)[1].split()
    assert {path.stem for path in (DOCS / "guide").glob("*.md")} == {"index", *listed}
    assert {path.stem for path in PAGES} >= set(listed)


def test_the_picture_of_cuts_has_one_hash():
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location("pictures", DOCS / "pictures.py")
    pictures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pictures)
    whole = Stream(7).child("weight").normal((8, 8))
    hashes = [panel.get_xlabel() for panel in pictures.cuts().axes]
    assert hashes == [hashlib.sha256(whole).hexdigest()[:12]] * 5
