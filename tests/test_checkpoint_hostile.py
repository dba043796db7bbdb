"""Malicious checkpoints and plans: each gives one clear error, without a crash, a wait or much memory."""

import faulthandler
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hostile_headers import HEADERS, entry, told, whole, write

import pyinit
from pyinit.checkpoint import folders
from pyinit.terminal import printable
from pyinit.untrusted import DamagedError

LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
os.execv(sys.argv[2], sys.argv[2:])
"""

HOSTILE = Path(__file__).with_name("hostile.py")
ENVIRONMENT = os.environ | {"PYTHONPATH": str(HOSTILE.parents[1]), "PYINIT_NUM_THREADS": "2"}


@pytest.fixture(autouse=True)
def no_waiting():
    """End all tests if one waits, for example for a pipe: the waiting code need not be in the main thread."""
    faulthandler.dump_traceback_later(300, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


def command(*arguments, memory=None, seconds=60):
    """Run the program; return its exit code, and its lines on standard output and error."""
    program = [sys.executable, "-W", "error", "-m", "pyinit", *map(str, arguments)]
    if memory is not None:  # set by the child itself: a process with JAX's threads must not fork
        program = [sys.executable, "-c", LIMITED, str(memory), *program]
    ran = subprocess.run(program, env=ENVIRONMENT, capture_output=True, text=True, timeout=seconds, check=False)
    return ran.returncode, ran.stdout.splitlines(), ran.stderr.splitlines()


@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_lie_are_refused(tmp_path, name):
    path = write(tmp_path / "model.safetensors", HEADERS[name], 8)
    for where in (path, tmp_path):
        with pytest.raises(DamagedError) as error:
            pyinit.checkpoint.verify(where)
        text = str(error.value)
        assert text.startswith(str(tmp_path))
        assert len(text) < 400
        assert text.isprintable()


@pytest.mark.parametrize("length", [0, 1, 9, 100, 10**8 + 1, 2**32, 2**63, 2**64 - 1])
def test_lengths_of_headers_that_lie_are_refused(tmp_path, length):
    path = write(tmp_path / "model.safetensors", {"w": entry([2], 8)}, 8 + (length < 10**9) * 2 * length)
    data = path.read_bytes()[8:80]
    with path.open("r+b") as file:
        file.write(length.to_bytes(8, "little") + data)
    with pytest.raises(DamagedError, match=f"^{path}: "):
        pyinit.checkpoint.verify(path)
    for size in (0, 7, 8):
        os.truncate(path, size)
        with pytest.raises(DamagedError, match=f"^{path}: "):
            pyinit.checkpoint.verify(path)


SCHEMES = (
    *(
        "no_scheme",
        "__import__('os').system('true')",
        "(lambda: 1)()",
        "normal(**{})",
        "normal(std=1" + "0" * 400 + ")",
    ),
    *(
        "normal(std=1if 1else 2)",
        "normal('\\d')",
        "-" * 900 + "1",
        "(" * 900,
        "normal(" + "1," * 10**6 + ")",
        "\0",
        "\ud800",
    ),
    *("normal(std=" + "-" * 900 + "1)", "normal(std=" + "[" * 90 + "]" * 90 + ")", "kaiming_normal", "x" * 10**6),
)


@pytest.mark.parametrize("text", SCHEMES, ids=lambda text: printable(text, 20))
def test_schemes_of_files_that_are_none_are_told_of_their_tensor(tmp_path, text):
    header = {"__metadata__": told(json.dumps({"w": text})), "w": entry([2], 8)}
    write(tmp_path / "model.safetensors", header, 8)
    if text == "\ud800":
        with pytest.raises(DamagedError):
            pyinit.checkpoint.verify(tmp_path)
        return
    [row] = pyinit.checkpoint.verify(tmp_path)
    assert row.verdict.startswith("not compared: ")
    assert len(row.verdict) < 3000


def test_an_argument_of_a_scheme_cannot_control_a_terminal():
    with pytest.raises(TypeError) as error:
        pyinit.initializers.scheme({"name": "ones", "\x1b[2J": 1})
    assert str(error.value).isprintable()


def test_no_tensor_is_made_as_a_whole_because_a_file_says_so(tmp_path):
    """A file of 400 GB that takes no space on the disk; tensors that can be made in blocks are compared."""
    schemes = told({"large": "orthogonal", "small": "orthogonal"})
    size = 4 * 10**11
    header = {"__metadata__": schemes, "large": entry([10**6, 10**5], size), "small": entry([2, 2], 16, begin=size)}
    write(tmp_path / "model.safetensors", header, size + 16)
    large, small = pyinit.checkpoint.verify(tmp_path)
    assert large.verdict.startswith("not compared: its 400,000,000,000 bytes must be made at once")
    assert small.verdict == "differs"


@pytest.mark.parametrize("dtype", ["<u2", "<u4", "<u8"])
def test_signalling_nans_are_numbers_like_others(tmp_path, dtype):
    """Processors flag them, and NumPy then warns, even if they are only cast."""
    infinity = np.full(300, np.inf, f"<f{dtype[-1]}")
    for name, more in (("a", 1), ("b", 1), ("c", 2)):
        np.save(tmp_path / f"{name}.npy", (infinity.view(dtype) + np.array(more, dtype)).view(infinity.dtype))
    assert pyinit.checkpoint.verify(tmp_path / "a.npy", "normal", seed=0)[0].verdict == "differs"
    for other in "bc":
        assert pyinit.checkpoint.against(tmp_path / "a.npy", tmp_path / f"{other}.npy")[0].verdict == "same"


def test_integers_that_float64_cannot_tell_apart_have_moved(tmp_path):
    for name, value in (("a", 2**60), ("b", 2**60 + 1)):
        np.save(tmp_path / f"{name}.npy", np.array([0, value]))
    [row] = pyinit.checkpoint.against(tmp_path / "a.npy", tmp_path / "b.npy")
    assert (row.verdict, row.share) == ("moved", 0.5)


def test_a_file_that_shrinks_or_becomes_another_while_it_is_read_is_refused(tmp_path):
    """The header is read first, and then the values of each tensor."""
    path = write(tmp_path / "a.safetensors", {"w": entry([1000], 4000), "v": entry([1000], 4000, begin=4000)}, 8000)
    tensors = folders.read(path).tensors
    os.truncate(path, 4500)
    blocks = list(tensors["v"].blocks(100))
    blocks[0].read()
    with pytest.raises(DamagedError, match=f"^{path}: the file ends in the middle of 'v'"):
        blocks[-1].read()
    path.unlink()
    with pytest.raises(FileNotFoundError):
        tensors["w"].read(0, (1000,))
    os.mkfifo(path)
    with pytest.raises(DamagedError, match="no regular file"):
        tensors["w"].read(0, (1000,))


def test_the_program_says_what_is_damaged_in_one_line(tmp_path):
    """Damaged files cannot be compared: code 1. Wrong arguments: code 2, and the usage."""
    folder = tmp_path / "a\x1b[31m"
    folder.mkdir()
    write(folder / "model.safetensors", {"w": entry([10**20], 8)}, 8)
    (tmp_path / "plan.json").write_text("{")
    whole(tmp_path / "whole.safetensors")
    for arguments in (
        ["verify", folder],
        ["verify", tmp_path / "whole.safetensors", "--against", folder],
        ["verify", tmp_path / "whole.safetensors", "--plan", tmp_path / "plan.json"],
        ["checkpoint", "write", "--like", folder, "--seed", "0", tmp_path / "out"],
        ["checkpoint", "write", "--plan", tmp_path / "plan.json", "--seed", "0", tmp_path / "out"],
    ):
        code, out, [line] = command(*arguments)
        assert (code, out) == (1, [])
        assert line.startswith((f"pyinit: {tmp_path}", f"pyinit: '{tmp_path}"))
        assert line.isprintable()
    code, _, lines = command("verify", tmp_path / "whole.safetensors", "--seed", "0", "--shapes", "x")
    assert code == 2
    assert lines[0].startswith("usage: ")


def test_what_the_program_prints_cannot_control_a_terminal(tmp_path):
    name = "w\x1b]0;owned\x07\n\u202e" + "x" * 10**5
    write(tmp_path / "model.safetensors", {"__metadata__": told({name: "normal\x1b"}), name: entry([2], 8)}, 8)
    for more in ((), ("--all",), ("--json",), ("--plan", tmp_path / "plan.json")):
        (tmp_path / "plan.json").write_text(json.dumps({"*": "ones"}))
        code, out, err = command("verify", tmp_path, *more)
        assert (code, err) == (3, [])
        assert all(line.isprintable() for line in out)
        assert more == ("--json",) or sum(map(len, out)) < 2000


def many(count, text):
    return b"{" + b",".join(text % i for i in range(count)) + b"}"


ENDLESS = {
    "metadata": lambda: b'{"__metadata__":' + many(4 * 10**6, b'"%x":""') + b"}",
    "schemes": lambda: {"__metadata__": told('{"w":' + "[]," * 10**7), "w": entry([2], 8)},
    "a scheme": lambda: {"__metadata__": told({"w": "normal(" + "1," * 10**7 + ")"}), "w": entry([2], 8)},
    "an orthogonal one": lambda: {"__metadata__": told({"w": "orthogonal"}), "w": entry([10**5, 10**5], 4 * 10**10)},
    "a name": lambda: {"__metadata__": told({}), "x" * 10**7: entry([2], 8)},
    "zeros": lambda: bytes(5 * 10**7),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_little_memory_is_taken(tmp_path, name):
    """For headers of tens of megabytes; the limit includes the program's own 0.3 GB, most of it untouched."""
    nbytes = 4 * 10**10 if "orthogonal" in name else 8
    write(tmp_path / "model.safetensors", ENDLESS[name](), nbytes)
    code, out, err = command("verify", tmp_path, "--seed", "0", memory=6 * 10**8)
    assert code in (1, 2, 3), err
    assert code == 2 or len(err) < 2
    assert not any(line.endswith("out of memory") or "allocate" in line for line in err)
    assert len(str(out)) + len(str(err)) < 5000


def test_links_to_one_file_do_not_take_its_memory_again_and_again(tmp_path):
    write(tmp_path / "0.safetensors", {"__metadata__": told("x" * 5 * 10**7)})
    for number in range(1, 100):
        (tmp_path / f"{number}.safetensors").hardlink_to(tmp_path / "0.safetensors")
    code, _, [line] = command("verify", tmp_path, memory=10**9)
    assert code == 1
    assert "metadata" in line


def fuzz(seed, seconds, *more):
    """Run the child that damages files; return its exit code and its last message."""
    command = [sys.executable, "-W", "error", str(HOSTILE), str(seed), str(seconds), *more]
    ran = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=float(seconds) + 100)
    return ran.returncode, f"{ran.stdout}{ran.stderr}"[-5000:]


def test_nothing_but_clear_errors_comes_of_damage_at_random():
    code, said = fuzz(1, 4)
    assert code == 0, said
    assert int(said) > 20


@pytest.mark.parametrize("reader", ["trusting", "waiting"])
def test_a_reader_that_believes_headers_or_waits_would_be_found(reader, monkeypatch):
    monkeypatch.setitem(ENVIRONMENT, "PYINIT_FUZZ_LONGEST", "2")
    code, said = fuzz(1, 20, reader)
    assert code == 1
    assert f"failed: python tests/hostile.py 1 1 {reader}" in said


@pytest.mark.slow
def test_ten_minutes_of_damage_at_random():
    """PYINIT_FUZZ_SECONDS changes the time; a failure names its seed and number, which repeat it."""
    faulthandler.cancel_dump_traceback_later()
    seed = int.from_bytes(os.urandom(4), "little")
    code, said = fuzz(seed, os.environ.get("PYINIT_FUZZ_SECONDS", "600"))
    assert code == 0, said
