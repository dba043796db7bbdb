"""The command line as a stranger meets it: run as a program, through a pipe and on a terminal."""

import io
import json
import os
import re
import shlex
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest

import pyinit
from pyinit import cli, terminal
from pyinit.demo import training
from pyinit.diagnostics import diagnose

ROOT = Path(__file__).parents[1]
ESCAPE = "\x1b"


def run(*arguments, program=("-m", "pyinit"), **variables):
    command = [sys.executable, "-W", "error", *program, *map(str, arguments)]
    # FORCE_COLOR asks rich for colours in a pipe: plain text it stays.
    environment = {**os.environ, "FORCE_COLOR": "1", "PYTHONIOENCODING": "ascii", "COLUMNS": ""}
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**environment, **variables})


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
        # No thread count, rate or ratio beside a figure of another machine.
        assert line(demo, name).split(",", 1)[1].split() == ["not", "measured", milliseconds]
    for measured in ("NumPy PCG64", "pyinit philox", "pyinit ars5", "memset  "):
        assert f"\n{measured}" in demo
        assert f"\n{measured}, extrapolated" not in demo


def test_all_tiers_and_thread_counts_gave_the_same_network(demo):
    assert "All are equal." in demo
    for tier in pyinit.isa.available():
        assert f"\n{tier} " in demo


def test_bench_writes_every_repetition(tmp_path):
    file = tmp_path / "bench.json"
    result = run("bench", "--elements", 1000, "--repetitions", 3, "--output", file)
    assert result.returncode == 0, result.stderr
    assert ESCAPE not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80 + len(str(file))
    assert "\nplain Python, extrapolated" in result.stdout
    report = json.loads(file.read_text())
    assert len(report["fills"]) > 10
    for entry in report["fills"] + report["small"]:
        assert 1 <= len(entry["seconds"]) == entry["repetitions"] <= 3
        assert entry["name"] in result.stdout
    assert all(entry["ratio_to_memset"] for entry in report["fills"])


def test_bench_draws_the_throughput(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "fills.svg"
    assert cli.main(["bench", "--elements", "1000", "--repetitions", "1", "--plot", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"<?xml")
    assert f"Written: {picture}." in capsys.readouterr().out.replace(":\n", ": ")
    assert cli.main(["bench", "--elements", "1000", "--repetitions", "1", "--plot", str(picture), "--json"]) == 0
    assert "fills" in json.loads(capsys.readouterr().out)


def test_the_script_is_the_command(tmp_path):
    file = tmp_path / "bench.json"
    script = ROOT / "benchmarks" / "bench_fill.py"
    result = run("--elements", 1000, "--repetitions", 1, "--no-instructions", "--output", file, program=[script])
    assert result.returncode == 0, result.stderr
    assert json.loads(file.read_text())["machine"]["tier"] == pyinit.isa.active()


def test_a_file_that_cannot_be_written_is_told_before_anything_is_timed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("pyinit.bench.measure", lambda *_, **__: pytest.fail("measured"))
    pytest.importorskip("matplotlib")
    (taken := tmp_path / "taken.png").mkdir()
    for option in ("--output", "--plot"):
        assert cli.main(["bench", option, str(taken)]) == 1
        assert str(taken) in capsys.readouterr().err


def test_no_folder_is_made_for_a_file(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    for words in ("schemes --save", "diagnose --save", "diagnose --html", "demo --train --save", "bench --output"):
        assert cli.main([*words.split(), str(tmp_path / "none" / "x.png")]) == 1
        assert "none does not exist, so x.png cannot be written there" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("columns", "width"), [("", 80), ("120", 120), ("50", 50), ("7", 40), ("x", 80), ("9" * 9, 80)]
)
def test_piped_text_is_as_wide_as_columns_says(columns, width):
    lines = [len(row) for row in run("schemes", "gpt2_residual", COLUMNS=columns).stdout.splitlines()]
    assert width - 12 <= max(lines) <= width


def test_the_demo_ends_with_what_everybody_has(demo):
    assert "README" not in demo
    assert "make test" not in demo


def test_no_arguments_print_the_help(capsys):
    assert cli.main([]) == 0
    assert "demo" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        "nope",
        "demo --train --save x.doc",
        "demo --seed -1",
        f"demo --seed {2**64}",
        "demo --seed x",
        "bench --elements 1",
        "bench --repetitions 0",
    ],
)
def test_what_is_not_understood_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments.split())
    assert stop.value.code == 2
    assert arguments.split()[-1] in capsys.readouterr().err


COMMANDS = [command.__name__.rpartition(".")[2] for command in cli.COMMANDS]


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS), ("checkpoint", "write")], ids=" ".join)
def test_help_ends_with_examples_that_are_understood_and_with_the_exit_codes(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    with pytest.raises(SystemExit) as stop:
        cli.main([*command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    examples, codes = text.split("\nexamples:\n")[1].split("\nexit codes:\n")
    unequal = ["3"] * (command == ("verify",))
    assert [row.split()[0] for row in codes.splitlines()] == ["0", "1", "2", *unequal, "130"]
    assert len(examples.split("\n\n")) == 1
    commands = re.findall(r"^  pyinit (.*?)(?: \| .*)?$", examples, re.M)  # what is indented further explains
    assert commands
    for words in map(shlex.split, commands):
        assert words[0] == "COMMAND" or cli.parser().parse_args(words).command


def test_the_program_lists_its_commands(capsys):
    cli.main([])
    listed = re.findall(r"^    (\w+)(?: |$)", capsys.readouterr().out, re.M)
    assert {"demo", "bench", "info", "fill", "checkpoint", "verify"} <= set(COMMANDS) <= set(listed)


def test_bench_as_json_prints_one_document_and_nothing_else(tmp_path):
    file = tmp_path / "bench.json"
    result = run("bench", "--elements", 1000, "--repetitions", 1, "--json", "--output", file)
    assert (result.returncode, result.stderr) == (0, "")
    document = json.loads(result.stdout)
    assert document == json.loads(file.read_text())
    assert {"machine", "fills", "small"} == set(document)


@pytest.fixture(params=["buffered", "unbuffered"])
def buffering(request, monkeypatch):
    """Where a write can fail: at once, or not before what was printed is flushed, at the exit at the latest."""
    monkeypatch.setenv("PYTHONUNBUFFERED", "1" if request.param == "unbuffered" else "")


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
@pytest.mark.usefixtures("buffering")
@pytest.mark.parametrize("arguments", ["info", "info --json", "--help"])
def test_a_full_disk_is_one_sentence(arguments):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "pyinit", *arguments.split()]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert "Traceback" not in result.stderr
    assert "Exception ignored" not in result.stderr
    if arguments != "--help":  # argparse asks for no more than an exit
        assert (result.returncode, result.stderr) == (1, "pyinit: No space left on device\n")


@pytest.mark.usefixtures("buffering")
@pytest.mark.parametrize("arguments", ["info", "info --json"])
def test_a_closed_pipe_is_no_error(arguments):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "pyinit", *arguments.split()]
    result = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.skipif(os.name != "posix", reason="a shell of POSIX closes the output")
def test_no_standard_output_is_no_error():
    result = subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -m pyinit info >&-"], stderr=subprocess.PIPE, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ImportError("pictures need matplotlib"), "pictures need matplotlib"),
        (MemoryError(), "out of memory"),
        (FileNotFoundError(2, "No such file or directory", "x.npy"), "x.npy: No such file or directory"),
        (OSError("there is no room"), "there is no room"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_done_is_one_sentence(error, sentence, monkeypatch, capsys):
    def fail(arguments):
        raise error

    monkeypatch.setattr("pyinit.cli.info.run", fail)
    assert cli.main(["info"]) == 1
    assert capsys.readouterr().err == f"pyinit: {sentence}\n"


def test_a_picture_is_of_training(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["demo", "--save", "curves.png"])
    assert stop.value.code == 2
    assert "--save needs --train" in capsys.readouterr().err


def test_version():
    result = run("--version")
    assert (result.returncode, result.stdout) == (0, f"pyinit {pyinit.__version__}\n")


def test_the_package_does_not_import_rich():
    code = "import sys, pyinit, pyinit.cli; sys.exit('rich' in sys.modules)"
    assert run(program=["-c", code]).returncode == 0


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def on_terminal(monkeypatch):
    """The variables of a usual terminal, whatever the tests themselves run in."""
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
    if width >= 45:  # enough for the longest word of each column
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
    assert max(map(len, shown[Terminal])) <= 80 < max(map(len, shown[io.StringIO])) <= 100  # which COLUMNS says
