"""The page that pyinit diagnose --html writes."""

import base64
import html
import inspect
import re
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from program import run

from pyinit import cli, report, terminal
from pyinit.diagnostics import diagnose, verdicts

QUICK = ("--layers", 3, "--width", 40, "--batch", 50)


VOID = {"meta", "link", "br", "hr", "img", "input"}
SVG = "{http://www.w3.org/2000/svg}"
NAME = "normal(std=0.01) <script>alert('x')</script> & \"more\""


class Page(HTMLParser):
    """Reads a page, and fails if its elements are not closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.attributes, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        self.attributes += [(tag, *pair) for pair in attributes]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append(tag)
        self.attributes += [(tag, *pair) for pair in attributes]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data.strip())


def pictures(page):
    """Return the SVG elements of the page's pictures."""
    begin = "data:image/svg+xml;base64,"
    found = [value.removeprefix(begin) for _, name, value in page[1].attributes if name == "src"]
    assert len(found) == 3
    return [ElementTree.fromstring(base64.b64decode(picture)) for picture in found]


def write_page(seed=0, title="Ten <b>layers</b>"):
    found = {
        name: diagnose(3, 40, scheme, "tanh", 50, seed) for name, scheme in ((NAME, "small"), ("xavier", "xavier"))
    }
    return report.html(found, title, "What & why <i>"), found


@pytest.fixture(scope="module")
def page():
    pytest.importorskip("matplotlib")
    text, found = write_page()
    return text, Page(text), found


def test_the_page_is_well_formed_and_holds_all(page):
    _, parsed, found = page
    assert parsed.seen[:6] == ["html", "head", "meta", "meta", "title", "style"]
    assert [parsed.seen.count(tag) for tag in ("img", "figure", "table", "h1", "body")] == [3, 3, 2, 1, 1]
    for words in ("Ten <b>layers</b>", "What & why <i>", NAME, "xavier", *(d.verdict for d in found.values())):
        assert words in parsed.words
    healthy = [value for _, name, value in parsed.attributes if name == "class" and "verdict" in value]
    assert healthy == ["verdict healthy" if d.verdict == "healthy" else "verdict" for d in found.values()]
    assert len(set(healthy)) == 2
    for d in found.values():
        columns, rows = d.table()
        cells = [*columns, *(cell for row in rows for cell in row)]
        starts = [i for i, word in enumerate(parsed.words) if word == "layer"]
        words = [[w for w in parsed.words[i : i + 3 * len(cells)] if w][: len(cells)] for i in starts]
        assert cells in words


def test_the_page_explains_its_columns_and_verdicts(page):
    """Every column of the tables and every word of the verdicts, and no other."""
    text, _, found = page
    terms = [html.unescape(term) for term in re.findall("<dt>(.*?)</dt><dd class=.note.>.*?[.]</dd>", text)]
    columns = list(dict.fromkeys(column for d in found.values() for column in d.table()[0]))
    assert {d.verdict for d in found.values()} > {"healthy"}
    assert terms == ["healthy", "vanishes", *(column for column in columns if column != "layer")]
    assert "Nothing has been trained yet" in text


def test_every_word_of_a_verdict_has_a_meaning():
    """The words are those before a colon in the rules."""
    rules = inspect.getsource(verdicts)
    assert set(re.findall(r'f"(\w+): ', rules)) | {"healthy"} == report.WORDS.keys()


def test_a_table_puts_words_to_the_left_and_numbers_to_the_right():
    text = report.table(("layer", "std"), [("conv1", "0.5"), ("fc <b>", "-1e-05")])
    assert re.findall(r"<t[hd]\b[^>]*>[^<]*", text) == [
        '<th scope="col" class="words">layer',
        '<th scope="col">std',
        '<td class="words">conv1',
        "<td>0.5",
        '<td class="words">fc &lt;b&gt;',
        "<td>-1e-05",
    ]


def test_the_page_needs_nothing_else(page):
    text, parsed, _ = page
    assert not set(parsed.seen) & {"script", "link", "iframe", "object", "embed", "base", "a"}
    for tag, name, value in parsed.attributes:
        assert not name.startswith("on")
        assert name not in ("href", "srcset", "data", "action"), (tag, name, value)
        assert name != "src" or value.startswith("data:image/svg+xml;base64,")
        assert "://" not in (value or "")
    assert "@import" not in text
    assert "url(" not in text


def test_the_pictures_need_nothing_else(page):
    for picture in pictures(page):
        elements = list(picture.iter())
        assert not {"script", "image", "foreignObject"} & {e.tag.rpartition("}")[2] for e in elements}
        values = [(name, value) for e in elements for name, value in e.attrib.items()]
        ids = {value for name, value in values if name == "id"}
        refers = {value for name, value in values if name.rpartition("}")[2] == "href"}
        refers |= {found for _, value in values for found in re.findall(r"url\(([^)]*)\)", value)}
        assert refers <= {f"#{name}" for name in ids}
        assert len(refers) > 10
        assert "@import" not in "".join(e.text or "" for e in elements)


def test_the_page_suits_phones_and_dark_screens(page):
    text, parsed, _ = page
    assert ("meta", "content", "width=device-width, initial-scale=1") in parsed.attributes
    assert "prefers-color-scheme: dark" in text
    assert "overflow-x: auto" in text
    for picture in pictures(page):  # dark ink: each picture first paints its own white background, edge to edge
        _, _, width, height = map(float, picture.get("viewBox").split())
        ground = next(e for e in picture.iter(f"{SVG}path") if "fill: none" not in e.get("style", "fill: none"))
        assert "#ffffff" in ground.get("style")
        x, y = np.array(re.findall(r"[\d.]+", ground.get("d")), float).reshape(-1, 2).T
        assert (x.min(), y.min(), x.max(), y.max()) == (0, 0, width, height)


def test_a_picture_is_described_by_its_caption(page):
    text, parsed, _ = page
    captions = [value for _, name, value in parsed.attributes if name == "alt"]
    assert len(set(captions)) == 3
    assert captions == [html.unescape(caption) for caption in re.findall("<figcaption>(.*?)</figcaption>", text)]


def test_one_seed_one_page(page):
    text, *_ = page
    assert write_page()[0] == text
    assert write_page(seed=1)[0] != text


def test_the_page_of_another_process_is_the_same(tmp_path):
    pytest.importorskip("matplotlib")
    files = [tmp_path / name for name in ("one.html", "two.html")]
    assert run("diagnose", *QUICK, "--html", files[0]).returncode == 0
    assert cli.main(["diagnose", *map(str, QUICK), "--html", str(files[1])]) == 0
    assert files[0].read_bytes() == files[1].read_bytes()


def test_tables_put_negative_numbers_to_the_right(capsys):
    terminal.Plain().table(("mean", "note"), [("-0.5", "-"), ("1", "")])
    assert capsys.readouterr().out == "\nmean  note\n-0.5  -\n   1\n"


def test_it_runs_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert cli.main(["diagnose", *map(str, QUICK), "--scheme", "xavier"]) == 0
    assert "healthy" in capsys.readouterr().out
