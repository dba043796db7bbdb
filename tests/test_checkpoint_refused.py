"""The arguments that checkpoint.write refuses before it writes anything, and the folders that it replaces."""

import os

import pytest
from checkpoint_plans import ENTRIES, SHAPES, contents

from pyinit import checkpoint


def test_a_folder_is_replaced_only_where_that_is_asked_for(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()  # an empty folder may be replaced
    checkpoint.write(ENTRIES, folder, 7, shard_bytes=100)
    before = contents(folder)
    with pytest.raises(FileExistsError, match="exists already"):
        checkpoint.write(ENTRIES, folder, 8)
    assert contents(folder) == before
    checkpoint.write(ENTRIES, folder, 8, overwrite=True)
    assert os.listdir(folder) == ["model.safetensors"]  # without the index of the previous checkpoint
    assert os.listdir(tmp_path) == ["out"]
    checkpoint.write(ENTRIES, tmp_path / "one.safetensors", 7)
    with pytest.raises(FileExistsError, match="exists already"):
        checkpoint.write(ENTRIES, tmp_path / "one.safetensors", 8)
    checkpoint.write(ENTRIES, tmp_path / "one.safetensors", 8, overwrite=True)
    assert (tmp_path / "one.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


TOO_MANY = {"w": {"shape": [10**9, 10**9], "scheme": "normal"}}
WRONG = [
    ({"source": {}}, ValueError, "no tensors"),
    ({"source": 5}, TypeError, "source must be a mapping"),
    ({"source": {"w": [2, 3]}}, ValueError, "'w' must have shape and scheme"),
    ({"source": {"w": {"shape": [2], "scheme": "ones", "std": 1}}}, ValueError, "'w' must have shape and scheme"),
    ({"source": {"w": {"shape": [-2], "scheme": "ones"}}}, ValueError, "shape of 'w'"),
    ({"source": {"w": {"shape": [2.0], "scheme": "ones"}}}, ValueError, "shape of 'w'"),
    ({"source": {"w": {"shape": "23", "scheme": "ones"}}}, ValueError, "shape of 'w'"),
    ({"source": {"w": {"shape": [2], "scheme": "nonsense"}}}, ValueError, "'w': .*nonsense"),
    ({"source": {"w": {"shape": [2], "scheme": "xavier_normal"}}}, ValueError, "'w': .*2 dimensions"),
    ({"source": {"w": {"shape": [2], "scheme": "ones", "dtype": "int32"}}}, TypeError, "int32"),
    ({"source": {"__metadata__": {"shape": [2], "scheme": "ones"}}}, ValueError, "__metadata__"),
    ({"source": {"\udcff": {"shape": [2], "scheme": "ones"}}}, ValueError, "surrogates not allowed"),
    ({"source": {3: {"shape": [2], "scheme": "ones"}}}, TypeError, "str"),
    ({"source": TOO_MANY}, OSError, "bytes are needed"),
    ({"source": TOO_MANY, "folder": "out.safetensors"}, OSError, "bytes are needed"),
    ({"source": SHAPES, "plan": {"*.bias": "zeros"}}, ValueError, "emb.weight"),
    ({"source": SHAPES, "plan": {"*": "ones", "nothing": "zeros"}}, ValueError, "nothing"),
    ({"source": SHAPES, "plan": 5}, TypeError, "plan"),
    ({"source": "nowhere"}, FileNotFoundError, "nowhere"),
    ({"source": "nowhere.json"}, FileNotFoundError, r"nowhere\.json"),
    ({"plan": "nowhere.toml"}, FileNotFoundError, r"nowhere\.toml"),
    ({"plan": "nowhere.ini"}, ValueError, "must end in"),
    ({"folder": "nowhere/out"}, FileNotFoundError, "nowhere does not exist"),
    ({"folder": "nowhere/out.safetensors"}, FileNotFoundError, "nowhere does not exist"),
    ({"folder": "x" * 250}, OSError, "name too long"),
    ({"seed": -1}, ValueError, "seed"),
    ({"seed": "7"}, TypeError, "seed"),
    ({"dtype": "int8"}, TypeError, "int8"),
    ({"dtype": "nonsense"}, TypeError, "nonsense"),
    ({"generator": "mt19937"}, ValueError, "generator"),
    ({"shard_bytes": 0}, ValueError, "at least 1; got 0"),
    ({"shard_bytes": 2.5}, TypeError, "shard_bytes must be an integer"),
    ({"names": "nonsense"}, ValueError, "names must be"),
    ({"num_threads": 0}, ValueError, "num_threads"),
]


@pytest.mark.parametrize(("changes", "error", "message"), WRONG, ids=[str(changes)[:50] for changes, *_ in WRONG])
def test_what_cannot_be_done_is_told_before_anything_is_written(tmp_path, monkeypatch, changes, error, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        checkpoint.write(**{"source": ENTRIES, "folder": "out", "seed": 7} | changes)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("way", ["file", "link", "dangling link"])
def test_what_is_no_folder_is_in_the_way(tmp_path, way):
    out = tmp_path / "out"
    if way == "file":
        out.write_text("a file")
    else:
        out.symlink_to(tmp_path / "elsewhere")
        if way == "link":
            (tmp_path / "elsewhere").mkdir()
    before = sorted(os.listdir(tmp_path))
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match="is no folder"):
            checkpoint.write(ENTRIES, out, 7, overwrite=overwrite)
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("folder", [".", "..", "../../home"])
def test_the_current_folder_is_not_replaced(tmp_path, monkeypatch, folder):
    (tmp_path / "home" / "work").mkdir(parents=True)
    (tmp_path / "home" / "thesis.tex").write_text("all of it")
    monkeypatch.chdir(tmp_path / "home" / "work")
    for overwrite in (False, True):
        with pytest.raises(OSError, match="is the current folder"):
            checkpoint.write(ENTRIES, folder, 7, overwrite=overwrite)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["home", "thesis.tex", "work"]


def test_a_disk_that_is_mounted_there_is_not_replaced(tmp_path):
    from file_systems import mounted

    with mounted(tmp_path / "out") as folder:
        with pytest.raises(OSError, match="name a folder in it"):
            checkpoint.write(ENTRIES, folder, 7)
        assert os.listdir(tmp_path) == ["out"]
        checkpoint.write(ENTRIES, folder / "in", 7)
        assert os.listdir(folder) == ["in"]


@pytest.mark.parametrize("name", ["notes.txt", "model.safetensors.bak", "runs/a"])
def test_a_folder_that_holds_anything_else_is_not_replaced(tmp_path, name):
    plan = {"w": {"shape": [3], "scheme": "ones"}}
    checkpoint.write(plan, tmp_path / "out", 7)
    (tmp_path / "out" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "out" / name).write_text("mine")
    with pytest.raises(FileExistsError, match="which would be lost"):
        checkpoint.write(plan, tmp_path / "out", 8, overwrite=True)
    assert (tmp_path / "out" / name).read_text() == "mine"
    assert checkpoint.verify(tmp_path / "out", {"w": "ones"}, 7).equal
