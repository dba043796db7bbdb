"""`pyinit fill` as a program: its files, its output, and the state after it is stopped."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from pyinit import Stream, cli, initializers

SHAPE = ("--shape", "50,100", "--scheme", "xavier_normal")


def command(*arguments):
    return [sys.executable, "-W", "error", "-m", "pyinit", "fill", *map(str, arguments)]


def run(*arguments, **more):
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False, **more)


def test_the_file_is_what_the_scheme_writes(tmp_path):
    path = tmp_path / "weights.npy"
    # FORCE_COLOR makes rich use colours in a pipe; there is no bar there.
    result = run(*SHAPE, "--seed", 7, path, env={**os.environ, "FORCE_COLOR": "1"})
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{path}: 50 x 100 float32, xavier_normal, seed 7, philox; 20,128 bytes.\n"
    expected = initializers.xavier_normal()(np.empty((50, 100), np.float32), Stream(7))
    np.testing.assert_array_equal(np.load(path), expected)


def test_a_name_that_cannot_be_shown_is_no_error(tmp_path):
    path = tmp_path / "gewichte für Tür.npy"
    result = run(*SHAPE, "--seed", 7, path, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (result.returncode, result.stderr) == (0, "")
    assert r"gewichte f\xfcr T\xfcr.npy: 50 x 100" in result.stdout
    assert path.exists()


def test_json_is_one_document(tmp_path, capsys):
    path = tmp_path / "weights.safetensors"
    more = ("--dtype", "bfloat16", "--generator", "ars5", "--child", "fc", "--name", "w", "--threads", "1", "--json")
    assert cli.main(["fill", *SHAPE, "--seed", "7", *more, str(path)]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "path": str(path),
        "shape": [50, 100],
        "dtype": "bfloat16",
        "scheme": "xavier_normal",
        "seed": 7,
        "generator": "ars5",
        "child": "fc",
        "bytes": path.stat().st_size,
    }
    assert b'"w":{"dtype":"BF16"' in path.read_bytes()


def test_a_seed_is_drawn_and_told(tmp_path, capsys):
    path = tmp_path / "weights.npy"
    cli.main(["fill", "--shape", "6", "--scheme", "normal(std=0.5)", "--json", str(path)])
    seed = json.loads(capsys.readouterr().out)["seed"]
    np.testing.assert_array_equal(np.load(path), Stream(seed).normal(6, std=0.5))


def test_an_existing_file_needs_force(tmp_path, capsys):
    path = tmp_path / "weights.npy"
    assert cli.main(["fill", *SHAPE, str(path)]) == 0
    assert cli.main(["fill", *SHAPE, str(path)]) == 1
    assert capsys.readouterr().err == f"pyinit: {path} exists already; --force, or overwrite=True, replaces it\n"
    assert cli.main(["fill", *SHAPE, "--force", str(path)]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--shape 3,x --scheme zeros w.npy", "got '3,x'"),
        ("--shape 3,0 --scheme zeros w.npy", "positive integers"),
        ("--shape 3 --scheme xavier_normal w.npy", "at least 2 dimensions"),
        ("--shape 3 --scheme normal(std=-1) w.npy", "std"),
        ("--shape 3 --scheme no_such_scheme w.npy", "no_such_scheme"),
        ("--shape 3 --scheme zeros w.txt", "w.txt"),
        ("--shape 3 --scheme zeros --dtype bfloat16 w.npy", ".safetensors"),
        ("--shape 3 --scheme zeros --seed -1 w.npy", "-1"),
        ("--shape 3 --scheme zeros --threads 0 w.npy", "--threads"),
        ("--scheme zeros w.npy", "--shape"),
    ],
)
def test_what_is_not_understood_exits_with_2(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        cli.main(["fill", *arguments.split()])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--shape 3 --scheme zeros nowhere/w.npy", "nowhere does not exist"),
        ("--shape 1000000000,1000000000 --scheme zeros w.npy", "bytes are needed"),
    ],
)
def test_what_cannot_be_done_exits_with_1(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["fill", *arguments.split()]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("pyinit: ")
    assert message in line
    assert os.listdir(tmp_path) == []


def test_a_write_that_fails_is_one_sentence_and_leaves_nothing(tmp_path):
    """The limit on a file's size stands for a disk that fills up midway: the same call fails in the same way."""
    pytest.importorskip("resource")

    limited = """
import resource, signal, sys
from pyinit import cli
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
sys.exit(cli.main(sys.argv[1:]))
"""
    arguments = ["fill", "--shape", "1000000", "--scheme", "big", str(tmp_path / "w.npy")]
    program = [sys.executable, "-W", "error", "-c", limited, *arguments]
    result = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (1, f"pyinit: {tmp_path / 'w.npy'}: {os.strerror(errno.EFBIG)}\n")
    assert os.listdir(tmp_path) == []


@pytest.fixture
def in_the_foreground():
    """Restore signals as for a program on a terminal, if a shell in the background or nohup runs the tests."""
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGHUP: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def slow_fill(path):
    """Start a fill of a gigabyte in the slowest possible way, and wait until it has begun to write."""
    process = subprocess.Popen(
        command("--shape", 250_000_000, "--scheme", "big", "--generator", "ars5", "--threads", 1, path),
        env={**os.environ, "PYINIT_ISA": "scalar"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not os.listdir(path.parent) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return process


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.usefixtures("in_the_foreground")
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
@pytest.mark.parametrize("pause", [0.0, 0.5], ids=["at once", "later"])
def test_a_fill_that_is_stopped_leaves_nothing(tmp_path, name, code, pause):
    with slow_fill(tmp_path / "w.npy") as process:
        assert process.poll() is None
        assert len(os.listdir(tmp_path)) == 1
        time.sleep(pause)
        process.send_signal(getattr(signal, name))
        out, errors = process.communicate(timeout=60)
    assert (process.returncode, out, errors) == (code, "", "pyinit: stopped\n" if code == 130 else "")
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_nohup_is_honoured(tmp_path):
    """SIGHUP stays ignored if it was: the fill goes on."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with slow_fill(tmp_path / "w.npy") as process:
            process.send_signal(signal.SIGHUP)
            time.sleep(0.3)
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_a_terminal_sees_a_bar(tmp_path):
    pytest.importorskip("rich")
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command("--shape", 50_000_000, "--scheme", "big", "--json", tmp_path / "w.npy"),
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    try:
        while data := os.read(ours, 4096):
            seen += data
    except OSError:  # Linux raises this when the other end is closed
        pass
    out, _ = process.communicate(timeout=60)
    assert b"filling w.npy" in seen
    assert b"200.0/200.0 MB" in seen
    assert json.loads(out)["bytes"] == 200_000_128
