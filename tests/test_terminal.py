"""Output on a terminal and in a pipe: colours, tables, progress."""

import io
import re
import sys
import threading
import time
from collections import Counter
from contextlib import redirect_stdout

import pytest
from program import ESCAPE, Terminal, run

from pyinit import cli, terminal
from pyinit.diagnostics import diagnose


def test_the_package_does_not_import_rich():
    code = "import sys, pyinit, pyinit.cli; sys.exit('rich' in sys.modules)"
    assert run(program=["-c", code]).returncode == 0


@pytest.fixture
def on_terminal(monkeypatch):
    """The environment of a usual terminal, wherever the tests themselves run."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")


def show():
    with redirect_stdout(Terminal()) as file:
        output = terminal.output()
        output.section("Title", "weights [3 1] [bold]")
        output.table(("what", "ms"), [("pyinit [x]", "1.5"), ("memset", "")])
    return file.getvalue()


@pytest.mark.usefixtures("on_terminal")
def test_a_terminal_without_rich_gets_plain_text(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    text = show()
    assert ESCAPE not in text
    assert "Title\n-----\nweights [3 1] [bold]\n" in text


@pytest.mark.usefixtures("on_terminal")
def test_a_terminal_gets_colours():
    pytest.importorskip("rich")
    text = show()
    assert f"{ESCAPE}[1;36mTitle" in text
    assert f"{ESCAPE}[1;32m" in text
    for literal in ("weights [3 1] [bold]", "pyinit [x]"):
        assert literal in text


@pytest.mark.usefixtures("on_terminal")
def test_no_color_is_honoured(monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("NO_COLOR", "1")
    text = show()
    assert f"{ESCAPE}[1mTitle" in text
    assert f"{ESCAPE}[1;3" not in text


TABLE = (
    ("initial weights", "output before", "slope there", "output after", "verdict"),
    [("by hand, small", "0.435", "0.246", "0.50", "learned"), ("pyinit philox", "14,344.5", "", "0.50", "stuck")],
)


def rich_table(width):
    console = pytest.importorskip("rich.console").Console(file=io.StringIO(), width=width)
    terminal.Rich(console).table(*TABLE)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [100, 60, 45, 40, 34, 20])
def test_a_table_is_whole_on_a_narrow_terminal(width):
    text = rich_table(width)
    assert max(map(len, text.splitlines())) <= width
    cells = [*TABLE[0], *(cell for row in TABLE[1] for cell in row)]
    assert Counter("".join(text.split())) == Counter("".join("".join(cells).split()))
    if width >= 45:  # wide enough for the longest word of each column
        assert Counter(text.split()) == Counter(" ".join(cells).split())


@pytest.mark.usefixtures("on_terminal")
def test_the_widest_table_is_whole_on_the_narrowest_terminal(monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "5")
    columns, rows = diagnose(layers=3, width=500, batch=2, scheme="big").table()
    with redirect_stdout(Terminal()) as file:
        terminal.output().table(columns, rows)
    cells = [*columns, *(cell for row in rows for cell in row)]
    text = re.sub(rf"{ESCAPE}\[[0-9;]*m", "", file.getvalue())
    assert Counter("".join(text.split())) == Counter("".join("".join(cells).split()))


def follow(monkeypatch, tty, **more):
    file = Terminal() if tty else io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    with terminal.progress(2_000_000, "filling", **more) as advance:
        advance(1_000_000)
        advance(1_000_000)
    return file.getvalue()


@pytest.mark.usefixtures("on_terminal")
def test_progress_is_shown_on_a_terminal_alone(monkeypatch):
    pytest.importorskip("rich")
    assert "filling" in follow(monkeypatch, tty=True)
    assert follow(monkeypatch, tty=True, show=False) == ""
    assert follow(monkeypatch, tty=False) == ""
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert follow(monkeypatch, tty=False) == ""


@pytest.mark.usefixtures("on_terminal")
@pytest.mark.parametrize(
    ("words", "seen"),
    [
        ("diagnose --layers 2 --width 9 --batch 9", "3/3 steps"),
        ("bench --elements 9 --repetitions 1", "memset"),
        ("fill w.npy --shape 3,4 --scheme normal --seed 0", "filling w.npy"),
    ],
)
def test_commands_show_progress_on_standard_error(words, seen, tmp_path, monkeypatch, capsys):
    pytest.importorskip("rich")
    monkeypatch.chdir(tmp_path)
    for file in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", file)
        (tmp_path / "w.npy").unlink(missing_ok=True)
        assert cli.main(words.split()) == 0
        text = re.sub(rf"{ESCAPE}\[[0-9;]*m", "", file.getvalue())
        assert (seen in text) == file.isatty()
        assert file.isatty() or text == ""
    assert ESCAPE not in capsys.readouterr().out


@pytest.mark.usefixtures("on_terminal")
def test_progress_in_bytes(monkeypatch):
    pytest.importorskip("rich")
    text = follow(monkeypatch, tty=True, unit="bytes")
    assert "2.0/2.0 MB" in text
    assert " left" in text
    assert "MB" not in follow(monkeypatch, tty=True)


@pytest.mark.usefixtures("on_terminal")
def test_progress_shows_the_steps_the_rate_and_the_time_left(monkeypatch):
    pytest.importorskip("rich")
    file = Terminal()
    monkeypatch.setattr(sys, "stderr", file)
    with terminal.steps(3) as tell:
        for name in ("first", "second", "third"):
            tell(name)
            time.sleep(0.01)
    text = re.sub(rf"{ESCAPE}\[[0-9;]*m", "", file.getvalue())
    for words in ("first", "third", "3/3 steps", " steps/s", "0:00:00 left"):
        assert words in text


@pytest.mark.usefixtures("on_terminal")
def test_nothing_runs_beside_what_is_timed(monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setattr(sys, "stderr", Terminal())
    before = set(threading.enumerate())
    with terminal.steps(1) as tell:
        tell("timed")
        assert not set(threading.enumerate()) - before
    with terminal.progress(1, "filling"):
        assert len(set(threading.enumerate()) - before) == 1


def test_a_table_puts_numbers_to_the_right(capsys):
    terminal.Plain().table(("name", "ms"), [("a", "1,000.5"), ("long name", "2")])
    assert capsys.readouterr().out == "\nname            ms\na          1,000.5\nlong name        2\n"


@pytest.mark.usefixtures("on_terminal")
def test_progress_shows_a_name_with_brackets_as_it_is(monkeypatch):
    pytest.importorskip("rich")
    file = Terminal()
    monkeypatch.setattr(sys, "stderr", file)
    with terminal.progress(1, "filling [bold]w.npy") as advance:
        advance(1)
    assert "filling [bold]w.npy" in file.getvalue()


@pytest.mark.usefixtures("on_terminal")
def test_an_entry_is_a_term_and_indented_text():
    pytest.importorskip("rich")
    shown = {}
    for kind in (io.StringIO, Terminal):
        with redirect_stdout(kind()) as file:
            terminal.output().entry("std : [float]", "word " * 30)
        shown[kind] = re.sub(rf"{ESCAPE}\[[0-9;]*m", "", file.getvalue()).splitlines()
    for rows in shown.values():
        assert rows[0].rstrip() == "std : [float]"
        assert len(rows) > 2
        assert all(row.startswith("    word") for row in rows[1:])
    assert max(map(len, shown[Terminal])) <= 80 < max(map(len, shown[io.StringIO])) <= 100  # the width in COLUMNS
