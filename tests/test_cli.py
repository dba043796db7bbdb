"""The command line as a new user meets it: run as a program, through a pipe and on a terminal."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from program import ESCAPE, run

import pyinit
from pyinit import cli

ROOT = Path(__file__).parents[1]


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
    (folder := tmp_path / ("long-name" * 12)).mkdir()
    picture = folder / "fills.svg"
    assert cli.main(["bench", "--elements", "1000", "--repetitions", "1", "--plot", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"<?xml")
    assert f"\n{picture}.\n" in capsys.readouterr().out
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
    commands = re.findall(r"^  pyinit (.*?)(?: \| .*)?$", examples, re.M)  # deeper lines are explanations
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
    """When a write can fail: at once, or when the output is flushed, at exit at the latest."""
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
    if arguments != "--help":  # argparse only needs an exit
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


def test_version():
    result = run("--version")
    assert (result.returncode, result.stdout) == (0, f"pyinit {pyinit.__version__}\n")
