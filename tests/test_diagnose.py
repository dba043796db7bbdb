"""`pyinit diagnose` as a new user meets it, and the page that it writes."""

import json
import re

import numpy as np
import pytest
from program import ESCAPE, run
from test_verdicts import PAGE

from pyinit import cli
from pyinit.diagnostics import diagnose

QUICK = ("--layers", 3, "--width", 40, "--batch", 50)


@pytest.fixture(scope="module")
def text():
    result = run("diagnose")
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def tables(text):
    """Return the tables of the text: for each scheme, its columns and its rows, which two spaces separate."""
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
        "Page's std: the value that the notebook page",
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
