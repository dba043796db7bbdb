"""`pyinit diagnose` as a stranger meets it, and the page that it writes."""

import base64
import html
import inspect
import json
import re
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from test_cli import ESCAPE, run
from test_diagnostics import PAGE

from pyinit import cli, report, terminal
from pyinit.diagnostics import diagnose, verdicts

QUICK = ("--layers", 3, "--width", 40, "--batch", 50)


@pytest.fixture(scope="module")
def text():
    result = run("diagnose")
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def tables(text):
    """The tables of the text: for each scheme, its columns and its rows, as they are cut by two spaces."""
    found = {}
    for block in re.split(r"\n\n\n", text)[1:]:
        name, _, *lines = block.splitlines()
        table = [re.split(r"\s{2,}", line.strip()) for line in lines if re.match(r"layer {2}|\s+\d+ ", line)]
        if table:
            found[name] = table[0], table[1:]
    return found


def test_it_prints_the_pages_experiment(text):
    found = tables(text)
    assert list(found) == ["small", "big", "xavier"]
    for scheme, (columns, rows) in found.items():
        assert columns == ["layer", "mean", "std", "page's std", "std of rows", "saturated", "gradient", "zero"]
        assert [row[0] for row in rows] == [str(i) for i in range(1, 11)]
        for row, std in zip(rows, PAGE[scheme]):
            assert float(row[3]) == std
            assert float(row[2]) == pytest.approx(std, rel=0.03)


def test_it_says_verdicts(text):
    unwrapped = text.replace("\n", " ")
    for words in (
        "small ----- Activations: vanishes: std falls by 4.5 times a layer. Gradients: vanishes",
        "big --- Activations: saturated: 90.5% of values have |a| > 0.99 in layer 1. Gradients: explodes",
        "xavier ------ healthy",
        "10 layers of 500 tanh units",
        "Page's std: what the notebook page",
    ):
        assert words in unwrapped


def test_it_is_plain_text_in_a_pipe(text):
    assert ESCAPE not in text
    assert "\r" not in text
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 80


def test_other_schemes_and_activations():
    result = run("diagnose", *QUICK, "--scheme", "normal(mean=0, std=0.1), zeros", "--activation", "relu")
    assert (result.returncode, result.stderr) == (0, "")
    found = tables(result.stdout)
    assert list(found) == ["normal(mean=0, std=0.1)", "zeros"]
    columns, rows = found["zeros"]
    assert columns == ["layer", "mean", "std", "std of rows", "dead", "gradient", "zero"]
    assert rows[0] == ["1", "0", "0", "0", "100%", "0", "100%"]
    assert "page" not in result.stdout.lower()


def test_overflow_fits_into_the_table_and_warns_not():
    result = run("diagnose", "--layers", 60, "--width", 50, "--scheme", "normal(mean=1,std=3)", "--activation", "relu")
    assert (result.returncode, result.stderr) == (0, "")
    assert "overflows: not finite from layer" in result.stdout.replace("\n", " ")
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_json_is_one_document_and_nothing_else():
    result = run("diagnose", *QUICK, "--scheme", "small,normal(std=0.1)", "--seed", 5, "--json")
    assert (result.returncode, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    settings = {"layers": 3, "width": 40, "activation": "tanh", "batch": 50, "seed": 5}
    assert {name: found[name] for name in settings} == settings
    assert list(found["schemes"]) == ["small", "normal(std=0.1)"]
    expected = diagnose(3, 40, "small", "tanh", 50, 5)
    small = found["schemes"]["small"]
    assert small["verdict"] == expected.verdict
    for part in ("activations", "gradients"):
        assert small[part].pop("verdict") == getattr(expected, part).verdict
        assert small[part].keys() == vars(getattr(expected, part)).keys()
        assert tuple(small[part].pop("activation")) == ("tanh",) * 3
        assert tuple(small[part].pop("name")) == ("1", "2", "3")
        for name, values in small[part].items():
            np.testing.assert_array_equal(np.array(values, float), getattr(getattr(expected, part), name))
    assert small["activations"]["dead"] == [None] * 3
    assert small["page_std"] == []


def test_json_stays_alone_where_files_are_written(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert cli.main(["diagnose", *map(str, QUICK), "--html", str(tmp_path / "report.html"), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["schemes"]) == 3


def test_json_has_no_nan():
    result = run(
        "diagnose", "--layers", 60, "--width", 20, "--scheme", "normal(std=9)", "--activation", "relu", "--json"
    )

    def refuse(constant):
        raise AssertionError(constant)

    found = json.loads(result.stdout, parse_constant=refuse)
    assert found["schemes"]["normal(std=9)"]["activations"]["std"][-1] is None


def test_help_shows_examples():
    result = run("diagnose", "--help")
    assert result.returncode == 0
    assert result.stdout.count("\n  pyinit diagnose") >= 3
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--layers", "0"),
        ("--width", "x"),
        ("--batch", "1"),
        ("--seed", "-1"),
        ("--scheme", "nope"),
        ("--scheme", "small,normal(std=-1)"),
        ("--scheme", "normal(bogus=3)"),
        ("--scheme", "small,,big"),
        ("--scheme", "normal(std=1"),
        ("--activation", "nope"),
        ("--save", "figure.jpeg"),
    ],
)
def test_what_is_not_understood_exits_with_2(option, value, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["diagnose", option, value])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert option in error
    named = {"small,normal(std=-1)": "'normal(std=-1)'", "small,,big": "''"}.get(value, value)
    assert named in error


# --- files ---


def test_it_writes_a_picture_and_a_page(tmp_path):
    pytest.importorskip("matplotlib")
    picture, page = tmp_path / "figure.png", tmp_path / "report.html"
    result = run("diagnose", *QUICK, "--save", picture, "--html", page)
    assert (result.returncode, result.stderr) == (0, "")
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["figure.png", "report.html"]
    assert "figure.png" in result.stdout


@pytest.mark.parametrize("option", ["--save", "--html"])
def test_a_file_that_cannot_be_written_is_told_before_anything_is_computed(option, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("pyinit.cli.diagnose.diagnose", lambda **_: pytest.fail("computed"))
    taken = tmp_path / "taken.png"
    taken.mkdir()
    assert cli.main(["diagnose", *map(str, QUICK), option, str(taken)]) == 1
    assert str(taken) in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [taken]


def test_an_interrupted_run_leaves_no_file(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")

    def interrupt(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pyinit.cli.diagnose.diagnose", interrupt)
    assert cli.main(["diagnose", "--save", str(tmp_path / "figure.png")]) == 130
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_there_is_a_sentence(tmp_path):
    code = "import sys; sys.modules['matplotlib'] = None; from pyinit import cli; sys.exit(cli.main())"
    for option in ("--save", "--html"):
        result = run("diagnose", *QUICK, option, tmp_path / "a.png", program=("-c", code))
        assert result.returncode == 1
        assert result.stdout == ""
        assert result.stderr == "pyinit: pictures need matplotlib: pip install matplotlib\n"
    assert run("diagnose", *QUICK, program=("-c", code)).returncode == 0
    assert not list(tmp_path.iterdir())


# --- the page ---

VOID = {"meta", "link", "br", "hr", "img", "input"}
SVG = "{http://www.w3.org/2000/svg}"
NAME = "normal(std=0.01) <script>alert('x')</script> & \"more\""


class Page(HTMLParser):
    """Reads a page, and fails where its elements are not closed in order."""

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
    """The SVG elements of the page's pictures."""
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
    """The words are those that stand before a colon in the rules."""
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
    for picture in pictures(page):  # dark ink: each paints its own white ground first, edge to edge
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
