"""The configuration of Sphinx; `make docs` runs it with warnings as errors and without a network."""

import os
import sys
from pathlib import Path

import pyinit

HERE = Path(__file__).parent
os.environ.setdefault("KERAS_BACKEND", "torch")
sys.path.insert(0, str(HERE))  # commands.py, notebooks.py and pictures.py

project = "pyinit"
author = "The pyinit developers"
copyright = "2026, the pyinit developers"  # noqa: A001
version = release = pyinit.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "commands"]
html_theme = "furo"
html_title = f"pyinit {version}"
html_copy_source = False
html_static_path = ["static"]
html_css_files = ["tables.css"]

myst_heading_anchors = 3

# Single backticks in a docstring are a link if the object exists, and code otherwise.
default_role = "py:obj"
# The types of parameters are words ("array", "int, at least 1"), not objects to link to.
nitpick_ignore_regex = [("py:obj", ".*"), ("py:class", ".*"), ("py:exc", ".*")]

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False  # only in the class that defines it
autodoc_typehints = "none"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_custom_sections = [("Source", "notes_style")]
napoleon_use_rtype = False


def whole_sentence(app, what, name, obj, options, lines):
    """Keep napoleon from reading the words before a colon in a property's first line as its type."""
    if what in ("attribute", "property"):
        lines[:0] = ["..", ""]  # an empty comment


def draw_pictures(app):
    """Draw the pictures and write the notebooks, which contain them, before Sphinx reads the pages."""
    import notebooks
    import pictures

    pictures.draw(HERE.parent / "build" / "pictures")
    notebooks.write(HERE.parent / "build" / "notebooks")


def setup(app):
    """Register the functions above with Sphinx."""
    app.connect("builder-inited", draw_pictures)
    app.connect("autodoc-process-docstring", whole_sentence, priority=100)  # napoleon has 500
