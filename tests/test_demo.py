"""The demo's output, in a pipe and on a terminal, and the training that it offers."""

import io
import sys
from contextlib import redirect_stdout

import numpy as np
import pytest
from program import ESCAPE, Terminal, run

import pyinit
from pyinit import cli, terminal
from pyinit.demo import training


@pytest.fixture(scope="module")
def demo():
    result = run("demo", "--quick", "--seed", 3)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


def line(text, begin):
    [found] = [row for row in text.splitlines() if row.startswith(begin)]
    return found


def test_the_demo_in_a_pipe_is_plain_text(demo):
    assert ESCAPE not in demo
    assert "\r" not in demo
    assert max(map(len, demo.splitlines())) <= 80


def test_the_demo_has_its_sections(demo):
    titles = [above for above, below in zip(demo.splitlines(), demo.splitlines()[1:]) if set(below) == {"-"}]
    assert [t.split()[0] for t in titles] == ["1.", "2.", "3.", "4.", "What"]
    assert "551,000 weights" in titles[1]
    assert "seed is 3," in demo.replace("\n", " ")


def test_the_small_network_learns_or_is_stuck_as_in_the_article(demo):
    assert line(demo, "by hand, small").split()[-2:] == ["0.50", "learned"]
    assert line(demo, "by hand, large").split()[-3:] == ["0.000", "1.00", "stuck"]
    for scheme in ("uniform in [0, 1)", "Gaussian, std 1", "Xavier"):
        assert "0.50" in demo[demo.index(scheme) :].split("\n")[0]


def test_the_demo_of_training_is_a_table_of_learning_curves():
    pytest.importorskip("sklearn")
    result = run("demo", "--train", "--quick", "--seed", 3)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert result.stdout.isascii()
    assert ESCAPE not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    for scheme in ("zeros", "small"):
        assert line(result.stdout, scheme).split()[-1] == "stuck"
    assert line(result.stdout, "big").split()[-1] != "learned"
    for scheme in ("Xavier", "Kaiming"):
        *_, curve, last, verdict = line(result.stdout, scheme).split()
        assert verdict == "learned"
        assert float(last.rstrip("%")) > 90
        assert len(curve) == 8
        assert curve.endswith("99")


def test_a_terminal_draws_the_curves_with_blocks():
    curves = {"Xavier": np.linspace(0, 1, 8), "big": np.array([0.5, np.nan])}
    texts = {}
    for encoding, kind in (("utf-8", Terminal), ("ascii", Terminal), ("utf-8", io.StringIO)):
        file = type("File", (kind,), {"encoding": encoding})()
        with redirect_stdout(file):
            training.show(terminal.Plain(), curves)
        texts[encoding, file.isatty()] = file.getvalue()
    assert "▁▂▃▄▅▆▇█" in texts["utf-8", True]
    for piped in (texts["ascii", True], texts["utf-8", False]):
        assert piped.isascii()
        assert "5-" in line(piped, "big")
        assert "diverged" in line(piped, "big")


def test_the_curves_are_drawn_into_a_file(tmp_path, capsys):
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    file = tmp_path / "curves.png"
    assert cli.main(["demo", "--train", "--quick", "--save", str(file)]) == 0
    assert file.read_bytes().startswith(b"\x89PNG")
    assert "curves.png" in capsys.readouterr().out.replace("\n", "")


def test_training_without_scikit_learn_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert cli.main(["demo", "--train"]) == 1
    assert capsys.readouterr() == ("", "pyinit: the data sets need scikit-learn: pip install scikit-learn\n")


def test_what_was_not_measured_is_marked(demo):
    assert line(demo, "plain Python").startswith("plain Python, extrapolated")
    for name, milliseconds in (("article's JVM", "14,344"), ("article's MKL", "209")):
        # No thread count, rate or ratio next to a figure from another machine.
        assert line(demo, name).split(",", 1)[1].split() == ["not", "measured", milliseconds]
    for measured in ("NumPy PCG64", "pyinit philox", "pyinit ars5", "memset  "):
        assert f"\n{measured}" in demo
        assert f"\n{measured}, extrapolated" not in demo


def test_all_tiers_and_thread_counts_gave_the_same_network(demo):
    assert "All are equal." in demo
    for tier in pyinit.isa.available():
        assert f"\n{tier} " in demo


def test_the_demo_ends_with_what_everybody_has(demo):
    assert "README" not in demo
    assert "make test" not in demo


def test_a_picture_is_of_training(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["demo", "--save", "curves.png"])
    assert stop.value.code == 2
    assert "--save needs --train" in capsys.readouterr().err
