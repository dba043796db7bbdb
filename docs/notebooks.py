"""The guide's pages as Jupyter notebooks, which `make docs` puts beside them for download.

python docs/notebooks.py [FOLDER]    writes them into FOLDER; by default into build/notebooks/
"""

import base64
import re
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

HERE = Path(__file__).parent
GUIDE = HERE / "guide"
# A block of Python with its output, which the notebook makes again.
CODE = re.compile(r"^```python\n(.*?)^```\n(?:```text\n.*?^```\n)?", re.M | re.S)
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)]*/([^/)]+\.svg))\)")
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!http)([^)#]*)(#[^)]*)?\)")
ROLE = re.compile(r"\{[\w:]+\}(`[^`]+`)")


def pages():
    """Return the pages of the guide that have code."""
    return sorted(path for path in GUIDE.glob("*.md") if "```python" in path.read_text())


def notebook(page):
    """Make a notebook of a page: code blocks become code cells, everything else text cells."""
    cells = []
    for i, part in enumerate(CODE.split(page.read_text())):
        if i % 2:
            cells.append(new_code_cell(part.rstrip()))
        elif part.strip():
            cells.append(text_cell(part.strip(), page))
    for number, cell in enumerate(cells):
        cell["id"] = f"{page.stem}-{number}"  # random otherwise
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def text_cell(text, page):
    """Make a text cell that contains its pictures; links to other pages of the guide lead to their notebooks."""
    pictures = {}

    def attached(match):
        path = page.parent / match[2]
        if not path.exists():
            return f"*{match[1]}*"
        pictures[match[3]] = {"image/svg+xml": base64.b64encode(path.read_bytes()).decode()}
        return f"![{match[1]}](attachment:{match[3]})"

    def linked(match):
        target = GUIDE / match[2]
        return f"[{match[1]}]({target.stem}.ipynb)" if match[2] and target in pages() else match[1]

    text = ROLE.sub(r"\1", LINK.sub(linked, PICTURE.sub(attached, text)))
    return new_markdown_cell(text, **({"attachments": pictures} if pictures else {}))


def write(folder):
    """Write the notebook of each page into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for page in pages():
        nbformat.write(notebook(page), folder / f"{page.stem}.ipynb")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "build" / "notebooks")
