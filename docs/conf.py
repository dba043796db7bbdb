"""How Sphinx makes the documentation; `make docs` runs it, with warnings as errors and without a network."""

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

# What stands in single backticks in a docstring: a link where there is such an object, and code else.
default_role = "py:obj"
# The types of parameters are words of the field ("array", "int, at least 1"), and no objects to link to.
nitpick_ignore_regex = [("py:obj", ".*"), ("py:class", ".*"), ("py:exc", ".*")]

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False  # once, where it is from
autodoc_typehints = "none"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_custom_sections = [("Source", "notes_style")]
napoleon_use_rtype = False


def whole_sentence(app, what, name, obj, options, lines):
    """Keep napoleon from taking what stands before a colon in a property's first line for its type."""
    if what in ("attribute", "property"):
        lines[:0] = ["..", ""]  # an empty comment


def draw_pictures(app):
    """Draw the pictures before the pages that show them are read, and write the notebooks, which hold them too."""
    import notebooks
    import pictures

    pictures.draw(HERE.parent / "build" / "pictures")
    notebooks.write(HERE.parent / "build" / "notebooks")


def setup(app):
    """Have Sphinx call what is above."""
    app.connect("builder-inited", draw_pictures)
    app.connect("autodoc-process-docstring", whole_sentence, priority=100)  # napoleon has 500
