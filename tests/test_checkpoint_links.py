"""Other things in a folder of weights: pipes, devices, links and names that lead out of it."""

import faulthandler
import json
import os
from pathlib import Path

import pytest
from hostile_headers import DIGITS, whole

import pyinit
from pyinit.checkpoint import folders
from pyinit.checkpoint.folders import INDEX
from pyinit.terminal import printable
from pyinit.untrusted import DamagedError


@pytest.fixture(autouse=True)
def no_waiting():
    """End all tests if one waits, for example for a pipe: the waiting code need not be in the main thread."""
    faulthandler.dump_traceback_later(100, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


KINDS = {
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "folder": Path.mkdir,
    "circle": lambda path: path.symlink_to(path.name),
    "nothing": lambda path: path.symlink_to("nothing"),
    "elsewhere": lambda path: path.symlink_to(whole(path.parents[1] / "elsewhere.safetensors")),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["model.safetensors", "other.safetensors", INDEX])
def test_what_is_no_file_of_the_folder_is_refused(tmp_path, kind, name):
    folder = tmp_path / "folder"
    folder.mkdir()
    KINDS[kind](folder / name)
    for call in (
        lambda: pyinit.checkpoint.verify(folder, "ones", seed=0),
        lambda: pyinit.checkpoint.against(folder, folder),
        lambda: pyinit.checkpoint.write(folder, tmp_path / "out", 0),
    ):
        with pytest.raises((OSError, DamagedError), match=str(folder)):
            call()


@pytest.mark.parametrize("kind", ["pipe", "device", "circle", "nothing", "folder"])
@pytest.mark.parametrize("name", ["a.safetensors", "a.npy", "a.json"])
def test_a_path_that_is_no_file_is_refused(tmp_path, kind, name):
    path = tmp_path / name
    KINDS[kind](path)
    write, verify = pyinit.checkpoint.write, pyinit.checkpoint.verify
    call = (lambda: write(path, tmp_path / "out", 0)) if name.endswith("n") else lambda: verify(path, "ones", seed=0)
    with pytest.raises((OSError, DamagedError), match=str(path)):
        call()


def test_the_cache_of_huggingface_hub_is_read(tmp_path):
    """Its files are links to blobs next to the snapshots; links to anything else and links to links are refused."""
    blobs, snapshot = tmp_path / "models--a--b" / "blobs", tmp_path / "models--a--b" / "snapshots" / "0123abc"
    blobs.mkdir(parents=True)
    (snapshot / "inner").mkdir(parents=True)
    whole(blobs / "fedc")
    (snapshot / "model.safetensors").symlink_to("../../blobs/fedc")
    (snapshot / "inner" / "model.safetensors").symlink_to("../../../blobs/fedc")
    (tmp_path / "link").symlink_to(snapshot)
    for folder in (snapshot, snapshot / "inner", tmp_path / "link"):
        assert pyinit.checkpoint.verify(folder, "zeros", seed=0).equal
    whole(tmp_path / "models--a--b" / "secret")
    (snapshot / "model.safetensors").unlink()
    (snapshot / "model.safetensors").symlink_to("../../secret")
    with pytest.raises(DamagedError, match="leads out of it"):
        pyinit.checkpoint.verify(snapshot)
    blobs.rename(tmp_path / "elsewhere")
    blobs.symlink_to(tmp_path / "elsewhere")
    (snapshot / "model.safetensors").unlink()
    (snapshot / "model.safetensors").symlink_to("../../blobs/fedc")
    with pytest.raises(DamagedError, match="leads out of it"):
        pyinit.checkpoint.verify(snapshot)


NAMES = (
    *("../model.safetensors", "/etc/passwd", "a/b", "a\\b", "", ".", "..", "\0", "\x1b[31m", "\ud800", "\u202e", "a\n"),
    *("x" * 300, "nothing.safetensors", INDEX),
)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: printable(name, 20))
def test_names_in_an_index_that_lead_elsewhere_are_refused(tmp_path, name):
    whole(tmp_path / "model.safetensors")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / INDEX).write_text(json.dumps({"weight_map": {"w": name}}))
    with pytest.raises((OSError, DamagedError)) as error:
        pyinit.checkpoint.verify(folder)
    assert len(str(error.value)) < 500
    assert str(error.value).isprintable()


INDICES = {
    "no JSON": b"{",
    "a list": b"[]",
    "no map": b'{"metadata": {}}',
    "numbers": b'{"weight_map": {"w": 1}}',
    "empty": b'{"weight_map": {}}',
    "lists": b'{"weight_map": [' + b"[]," * 10**6 + b"[]]}",
    "nested": b"[" * 10**6,
    "many digits": b'{"weight_map": ' + DIGITS.encode() + b"}",
    "NaN": b'{"metadata": NaN, "weight_map": {"w": "a.safetensors"}}',
    "not UTF-8": b'{"weight_map": {"w": "\xff"}}',
    "twice": b'{"weight_map": {"w": "a.safetensors", "w": "b.safetensors"}}',
    "another tensor": b'{"weight_map": {"w": "a.safetensors", "x": "a.safetensors"}}',
    "another file": b'{"weight_map": {"w": "b.safetensors", "v": "a.safetensors"}}',
    "one file only": b'{"weight_map": {"w": "a.safetensors", "v": "a.safetensors"}}',
}


@pytest.mark.parametrize("name", INDICES)
def test_an_index_that_lies_is_refused(tmp_path, name):
    whole(tmp_path / "a.safetensors", "w")
    whole(tmp_path / "b.safetensors", "v")
    (tmp_path / INDEX).write_bytes(INDICES[name])
    with pytest.raises(DamagedError, match=f"^{tmp_path}.*: ") as error:
        pyinit.checkpoint.verify(tmp_path)
    assert len(str(error.value)) < 400


def test_gigabytes_of_index_or_plan_are_refused(tmp_path):
    for name in (INDEX, "plan.json", "plan.yaml"):
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, 10**11)
    with pytest.raises(DamagedError, match="more than"):
        folders.read(tmp_path)
    for name in ("plan.json", "plan.yaml"):
        with pytest.raises(DamagedError, match="more than"):
            pyinit.checkpoint.write(tmp_path / name, tmp_path / "out", 0)
