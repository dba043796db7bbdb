"""The commands that write checkpoints and files of weights, and compare them."""

import json
import os
import shlex
import signal
import subprocess
import sys

import numpy as np
import pytest

from pyinit import Stream, checkpoint, cli, initializers, plots
from pyinit.checkpoint import folders

SHAPES = {"fc.weight": [30, 20], "fc.bias": [30]}
PLAN = {"*.bias": "zeros", "*": "xavier_normal"}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a plan and shapes, made the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.json").write_text(json.dumps(PLAN))
    (tmp_path / "shapes.json").write_text(json.dumps(SHAPES))
    both = {
        name: {"shape": shape, "scheme": PLAN["*.bias" if "bias" in name else "*"]} for name, shape in SHAPES.items()
    }
    (tmp_path / "both.json").write_text(json.dumps(both))
    return tmp_path


def run(capsys, command):
    """Return the exit code, the output, and the text on standard error."""
    try:
        code = cli.main(shlex.split(command))
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, out, err


def tensor(path, name="fc.weight"):
    found = folders.read(path).tensors[name]
    return found.read(0, found.shape)


def drawn(name="fc.weight", scheme="xavier_normal", seed=7, shape=(30, 20)):
    return initializers.scheme(scheme)(np.empty(shape, np.float32), Stream(seed).child(name))


WAYS = {
    "checkpoint, both": "checkpoint write --plan both.json --seed 7 out",
    "checkpoint, plan and shapes": "checkpoint write --plan plan.json --shapes shapes.json --seed 7 out",
    "fill, both": "fill --plan both.json --seed 7 out",
    "fill, plan and shapes": "fill --plan plan.json --shapes shapes.json --seed 7 out",
    "one file": "checkpoint write --plan both.json --seed 7 out.safetensors",
    "fill, one file": "fill --plan plan.json --shapes shapes.json --seed 7 out.safetensors",
}


@pytest.mark.parametrize("way", WAYS)
def test_the_ways_to_write_many_tensors(here, capsys, way):
    words, path = WAYS[way], WAYS[way].split()[-1]
    code, out, err = run(capsys, words)
    assert (code, err) == (0, "")
    assert out.startswith(f"{path}: 2 tensors in 1 file, ")
    assert out.endswith(" bytes; seed 7, philox.\n")
    np.testing.assert_array_equal(tensor(path), drawn())
    assert not tensor(path, "fc.bias").any()
    before = {file: file.stat().st_mtime_ns for file in here.rglob("*")}
    code, out, err = run(capsys, words)
    assert (code, out) == (1, "")
    assert "exists already; --force" in err
    assert before == {file: file.stat().st_mtime_ns for file in here.rglob("*")}
    assert run(capsys, f"{words} --force")[0] == 0
    assert len(os.listdir(here)) == 4


def test_a_checkpoint_like_another(here, capsys):
    run(capsys, "checkpoint write --plan both.json --seed 7 --dtype float64 there")
    (here / "there" / "config.json").write_text("{}")
    code, _, err = run(capsys, "checkpoint write --like there --seed 8 out")
    assert (code, err) == (0, "")
    assert sorted(os.listdir("out")) == ["config.json", "model.safetensors"]
    expected = Stream(8).child("fc.weight").fill_normal(np.empty((30, 20)), std=0.02)
    np.testing.assert_array_equal(tensor("out"), expected)
    run(capsys, "checkpoint write --like there --plan plan.json --seed 7 --dtype float32 planned")
    np.testing.assert_array_equal(tensor("planned"), drawn())


@pytest.mark.parametrize("size", ["120", "1KB", "0.001MB", "0.000001GB"])
def test_the_size_of_a_file(here, capsys, size):
    code, out, _ = run(capsys, f"checkpoint write --plan both.json --seed 7 --shard-size {size} out")
    assert code == 0
    assert "2 tensors in 2 files, " in out
    assert len(os.listdir("out")) == 3


@pytest.mark.parametrize("command", ["checkpoint write", "fill"])
def test_json_is_one_document(here, capsys, command):
    code, out, err = run(capsys, f"{command} --plan both.json --generator ars5 --json out")
    told = json.loads(out)
    assert (code, err) == (0, f"seed {told['seed']}\n")
    assert told == told | {"path": "out", "files": 1, "tensors": 2, "kept": 0, "generator": "ars5"}
    assert told["bytes"] == (here / "out" / "model.safetensors").stat().st_size
    stream = Stream(told["seed"], "ars5").child("fc.weight")
    np.testing.assert_array_equal(tensor("out"), initializers.xavier_normal()(np.empty((30, 20), np.float32), stream))


def test_what_was_found_of_an_earlier_call_is_told(here, capsys):
    words = "checkpoint write --plan both.json --seed 7 --shard-size 100 out"
    run(capsys, words)
    os.rename("out", "out.partial")
    os.remove("out.partial/model-00001-of-00002.safetensors")
    assert "2 tensors in 2 files, 1 of them from an earlier call, " in run(capsys, words)[1]


def test_a_command_that_is_stopped_says_so_and_can_be_taken_up_again(here):
    entries = {f"{i}.weight": {"shape": [2000, 3000], "scheme": "normal"} for i in range(40)}
    (here / "large.json").write_text(json.dumps(entries))
    words = [
        sys.executable,
        "-m",
        "pyinit",
        *shlex.split("checkpoint write --plan large.json --seed 7 --shard-size 1MB out"),
    ]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        while len(list(here.glob("out.partial/model-*"))) < 2:
            assert child.poll() is None
        child.send_signal(signal.SIGTERM)
        out, err = child.communicate()
    assert (child.returncode, out) == (128 + signal.SIGTERM, "")
    assert "Traceback" not in err
    assert not (here / "out").exists()
    assert all(name.startswith("model-") for name in os.listdir("out.partial"))  # files that were not whole are removed


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("checkpoint write out", 2, "nothing to write: give --config, --plan or --like"),
        ("checkpoint write --shapes shapes.json out", 2, "nothing to write: give --config, --plan or --like"),
        ("checkpoint write --shapes shapes.json --like there out", 2, "two sources"),
        ("checkpoint write --plan plan.json out", 2, "'*.bias' must have shape and scheme"),
        ("checkpoint write --plan both.json --shapes shapes.json out", 2, "fc.weight"),
        ("checkpoint write --plan plan.json --shapes plan.json out", 2, "'*.bias' must be non-negative integers"),
        ("checkpoint write --plan nowhere.json out", 1, "nowhere.json: No such file"),
        ("checkpoint write --plan plan.txt out", 2, "must end in .json, .toml"),
        ("checkpoint write --plan both.json --shard-size 5XB out", 2, "must be a size"),
        ("checkpoint write --plan both.json --shard-size 0 out", 2, "at least 1"),
        ("checkpoint write --plan both.json --shard-size nan out", 2, "size"),
        ("checkpoint write --plan both.json --shard-size infGB out", 2, "size"),
        ("checkpoint write --plan both.json --shard-size=-5GB out", 2, "at least 1"),
        ("checkpoint write --plan both.json --dtype int8 out", 2, "int8"),
        ("checkpoint write --plan both.json --seed -1 out", 2, "-1"),
        ("checkpoint write --like nowhere out", 1, "nowhere"),
        ("checkpoint write --plan both.json nowhere/out", 1, "nowhere does not exist"),
        ("fill --plan both.json --shape 2,3 out", 2, "--shape is for one tensor, --plan for many"),
        ("fill --plan both.json --child a out", 2, "--child is for one tensor"),
        ("fill --plan both.json --part 0/2 out", 2, "--part is for one tensor"),
        ("fill --shapes shapes.json --shape 2,3 --scheme zeros out.npy", 2, "--shapes needs --plan"),
        ("fill --shape 2,3 out.npy", 2, "--scheme must be given"),
        ("fill --scheme zeros out.npy", 2, "--shape must be given"),
        ("fill --shape 2,3 --scheme zeros --part 2/2 out.zarr", 2, "must be I/N"),
        ("fill --shape 2,3 --scheme zeros --part x out.zarr", 2, "must be I/N"),
        ("fill --shape 2,3 --scheme zeros --part 0/2 out.npy", 2, "are for .zarr"),
        ("fill --shape 2,3 --scheme zeros --chunks 2,2,2 out.zarr", 2, "chunks must have 2 sizes"),
        ("fill --plan both.json out.npy", 2, "out.npy"),
        ("fill --plan both.json out.zarr", 2, "out.zarr"),
    ],
)
def test_what_is_not_understood_is_said_and_nothing_is_written(here, capsys, words, code, message):
    before = sorted(os.listdir(here))
    found, out, err = run(capsys, words)
    assert (found, out) == (code, "")
    assert message in err
    assert sorted(os.listdir(here)) == before


def test_parts_of_an_array(here, capsys):
    zarr = pytest.importorskip("zarr")
    words = "fill --shape 50,40 --scheme normal --seed 7 --chunks 10,10 --shards 20,20"
    for part in ("2/3", "0/3", "1/3"):
        code, out, err = run(capsys, f"{words} --part {part} out.zarr")
        assert (code, err) == (0, "")
        assert out.startswith("out.zarr: 50 x 40 float32, normal, seed 7, philox; ")
    np.testing.assert_array_equal(zarr.open_array("out.zarr", mode="r")[...], Stream(7).normal((50, 40)))
    code, out, err = run(capsys, f"{words} --seed 8 --part 1/3 out.zarr")
    assert (code, out) == (1, "")
    assert "not the array of which this is a part" in err


def test_an_archive_of_one_array(here, capsys):
    code, _, err = run(capsys, "fill --shape 5,4 --scheme normal --seed 7 --name w out.npz")
    assert (code, err) == (0, "")
    np.testing.assert_array_equal(np.load("out.npz")["w"], Stream(7).normal((5, 4)))


@pytest.fixture
def written(here, capsys):
    run(capsys, "checkpoint write --plan both.json --seed 7 out")
    run(capsys, "checkpoint write --plan both.json --seed 8 other")
    return here


def test_verify_says_that_all_are_equal(written, capsys):
    for words in ("verify out", "verify out --seed 7 --plan plan.json", "verify out/model.safetensors"):
        assert run(capsys, words) == (0, "2 of 2 tensors have their initial values.\n", "")


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ("verify out --seed 8", "differs"),
        ("verify out --plan other.json", "differs"),
        ("verify out --against other", "moved"),
        ("verify out --generator ars5", "differs"),
    ],
)
def test_verify_exits_with_3_if_not_all_are_equal(written, capsys, words, verdict):
    (written / "other.json").write_text(json.dumps({"*.bias": "zeros", "*": "uniform"}))
    code, out, err = run(capsys, words)
    assert (code, err) == (3, "")
    first, empty, columns, row, *others = sorted(out.splitlines(), key=lambda line: "fc.bias" in line)
    assert bool(others) == ("--against" in words)  # it also shows the unchanged tensors
    assert first.startswith("1 of 2 tensors have ")
    assert (empty, columns.split()[:2], row.split()[:2]) == ("", ["verdict", "name"], [verdict, "fc.weight"])
    code, out, _ = run(capsys, f"{words} --json")
    told = json.loads(out)
    assert (code, told["path"], told["equal"]) == (3, "out", False)
    rows = {row["name"]: row for row in told["tensors"]}
    assert rows["fc.bias"]["verdict"] in ("equal", "same")
    assert rows["fc.weight"]["verdict"] == verdict
    assert rows["fc.weight"]["share"] == 1.0
    code, out, _ = run(capsys, f"{words} --all")
    assert code == 3
    assert {"fc.weight", "fc.bias"} < set(out.split())


@pytest.mark.parametrize(
    ("words", "title", "xlabel"),
    [
        ("out --against other", "What moved: out against other", "mean |difference| / mean |value there|"),
        ("out --seed 8", "What moved: out against its initial values", "largest |difference|"),
        ("out", "What moved: out against its initial values", "largest |difference|"),
    ],
)
def test_verify_draws_what_moved(written, capsys, monkeypatch, words, title, xlabel):
    pytest.importorskip("matplotlib")
    drawn = []
    draw = plots.changes
    monkeypatch.setattr(plots, "changes", lambda *a, **k: drawn.append((a, k)) or draw(*a, **k))
    code, out, err = run(capsys, f"verify {words} --plot moved.png")
    assert (code, err) == (0 if words == "out" else 3, "")
    assert out.endswith("Written: moved.png.\n")
    assert (written / "moved.png").read_bytes()[:4] == b"\x89PNG"
    [((values,), options)] = drawn
    assert options == {"title": title, "xlabel": xlabel}
    assert values["fc.bias"] == 0.0
    assert (values["fc.weight"] > 0.1) == (words != "out")
    assert json.loads(run(capsys, f"verify {words} --plot moved.png --json")[1])["path"] == "out"


def test_verify_of_equal_checkpoints_against_each_other(written, capsys):
    assert run(capsys, "verify out --against out") == (0, "2 of 2 tensors have the same values in both.\n", "")
    told = json.loads(run(capsys, "verify out --against out --json")[1])
    assert told["equal"]
    assert [row["verdict"] for row in told["tensors"]] == ["same", "same"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("verify nowhere", 1, "nowhere"),
        ("verify broken.safetensors", 1, "broken.safetensors"),
        ("verify w.npy", 2, "seed must be given"),
        ("verify out --against nowhere", 1, "nowhere"),
        ("verify out --against other --seed 7", 2, "--seed does not go with --against"),
        ("verify out --against other --plan plan.json", 2, "--plan does not go with --against"),
        ("verify out --plan plan.json --scheme normal", 2, "two sources"),
        ("verify out --dtype bfloat16", 2, "--dtype needs --config"),
        ("verify out --scheme normal", 2, "a single scheme is for a single tensor"),
        ("verify", 2, "PATH"),
    ],
)
def test_what_verify_cannot_do(written, capsys, words, code, message):
    (written / "broken.safetensors").write_bytes(bytes(100))
    np.save(written / "w.npy", np.zeros((2, 3), np.float32))
    found, out, err = run(capsys, words)
    assert (found, out) == (code, "")
    assert message in err


def test_verify_of_one_tensor(here, capsys):
    run(capsys, "fill --shape 20,30 --scheme xavier_normal --seed 7 w.npy")
    run(capsys, "fill --shape 20,30 --scheme xavier_normal --seed 7 --child fc w.safetensors")
    same = "1 of 1 tensors have their initial values.\n"
    assert run(capsys, "verify w.npy --seed 7 --scheme xavier_normal") == (0, same, "")
    assert run(capsys, "verify w.safetensors") == (0, same, "")
    assert run(capsys, "verify w.npy --seed 7 --scheme xavier_normal --child fc")[0] == 3


def test_what_is_said_of_a_thousand_tensors_fits_a_screen(here, capsys):
    entries = {
        f"model.layers.{i // 10}.block{chr(97 + i % 10)}.weight": {"shape": [6, 5], "scheme": "normal"}
        for i in range(1000)
    }
    checkpoint.write(entries, here / "out", 7)
    checkpoint.write(entries, here / "other", 8)
    checkpoint.write({f"only.{k}" if "b" in k[-8:] else k: e for k, e in entries.items()}, here / "renamed", 8)
    for words in ("--seed 8", "--against other", "--against renamed"):
        code, out, _ = run(capsys, f"verify out {words}")
        assert code == 3
        assert len(out.splitlines()) <= 24
        assert max(map(len, out.splitlines())) <= 110
        assert "(100)" in out  # all layers share a line
    assert len(run(capsys, "verify out --seed 8 --all")[1].splitlines()) == 1001


def test_what_is_said_of_many_kinds_of_differences_fits_a_screen(here, capsys):
    names = [f"{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(200)]
    plan = {name: f"normal(std={1 + i})" for i, name in enumerate(names)}
    checkpoint.write({name: {"shape": [6, 5], "scheme": plan[name]} for name in names}, here / "out", 7)
    scaled = {name: "normal" if i < 50 else "uniform" for i, name in enumerate(names) if i < 150}
    (here / "plan.json").write_text(json.dumps(scaled | {f"z{name}": "normal" for name in names}))
    code, out, _ = run(capsys, "verify out --seed 7 --plan plan.json")
    assert code == 3
    assert len(out.splitlines()) <= 24
    for verdict in ("scaled by 2", "differs", "unexpected", "missing", "more lines; --all shows every tensor"):
        assert verdict in out
    assert "1 of 400 tensors" in out
