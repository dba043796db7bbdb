"""PyTorch models diagnosed from the command line, and their pictures and pages."""

import json
import sys
import textwrap

import pytest
from program import run

from pyinit import Stream, cli, plots, report
from pyinit.diagnostics import Diagnosis, activations, gradients

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch_networks import MLP, Deep, diagnosis, normal  # noqa: E402


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_pictures_and_pages_have_the_names():
    pytest.importorskip("matplotlib")
    name = "a_long_name_" * 12 + "$x^{"
    model = nn.Sequential(nn.ModuleDict({name: nn.Linear(20, 20)})[name], MLP())
    model.add_module(name, nn.Linear(5, 5))
    found = {"model": diagnosis(model, normal(10, 20))}
    figure = plots.overview(found)
    means, stds, back, *panels = figure.axes
    expected = ["0", "1.fc1", "1.fc2", "1.out", "…name_a_long_name_$x^{"[-20:]]
    expected[-1] = "…" + name[-19:]
    assert [label.get_text() for label in back.get_xticklabels()] == expected
    for axes in (means, stds, back):
        assert list(axes.get_xticks()) == [1, 2, 3, 4, 5]
    assert [axes.get_title() for axes in panels] == [*expected[:-1], "…" + name[-14:]]
    assert plots.data_uri(figure)
    means, stds = plots.spread({"a": found["model"].activations, "b": diagnosis(MLP(), normal(9, 20)).activations}).axes
    assert "fc1" not in [label.get_text() for label in means.get_xticklabels()], "two models have no names in common"
    page = report.html(found, "title", "text")
    for words in (name, "1.fc2", '<td class="words">linear</td>'):
        assert words in page


def test_a_deep_model_has_twenty_names_at_most():
    pytest.importorskip("matplotlib")
    found = gradients(Deep(70, 50**-0.5), normal(9, 50))
    [axes] = plots.gradient_flow({"deep": found}).axes
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == [f"layers.{i}" for i in range(0, 70, 4)]


FILE = """
    import torch

    class Pair(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.act, self.last = torch.nn.Linear(6, 50), torch.nn.Tanh(), torch.nn.Linear(50, 3)

        def forward(self, x):
            return self.last(self.act(self.first(x)))

    def words():
        return torch.nn.Sequential(torch.nn.Embedding(9, 6), Pair())

    def number():
        return 3

    def fails():
        raise RuntimeError("not today\\nnor tomorrow")

    made = Pair()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a file of models that is not imported yet."""
    (tmp_path / "some_models.py").write_text(textwrap.dedent(FILE))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "some_models", raising=False)
    yield tmp_path
    sys.modules.pop("some_models", None)


def test_a_model_is_diagnosed_from_the_command_line(folder):
    pytest.importorskip("matplotlib")
    files = ("--save", folder / "layers.png", "--html", folder / "page.html")
    result = run("diagnose", "--model", "some_models:Pair", "--input", "20,6", *files)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert "A batch of 20 x 6 standard normal values goes forward" in result.stdout.replace("\n", " ")
    [header] = [line.split() for line in lines if line.startswith("layer  ")]
    assert header[:4] == ["layer", "activation", "mean", "std"]
    assert [line.split()[:2] for line in lines if line.startswith(("act ", "last "))] == [
        ["act", "tanh"],
        ["last", "linear"],
    ]
    assert (folder / "layers.png").read_bytes()[:4] == b"\x89PNG"
    assert '<td class="words">act</td>' in (folder / "page.html").read_text()


def test_json_of_a_model_is_what_the_functions_give(folder, capsys):
    arguments = ["diagnose", "--model", "some_models:words", "--input", "20,4", "--tokens", "9", "--seed", "3"]
    texts = []
    for _ in range(2):
        torch.manual_seed(7)
        assert cli.main([*arguments, "--json"]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    found = json.loads(texts[0])
    assert {key: found[key] for key in ("model", "input", "tokens", "seed")} == {
        "model": "some_models:words",
        "input": [20, 4],
        "tokens": 9,
        "seed": 3,
    }
    torch.manual_seed(3)
    model = sys.modules["some_models"].words()
    x = (Stream(3).child("x").uniform((20, 4), "float64") * 9).astype(int)
    assert set(x.flat) == set(range(9))
    expected = Diagnosis(activations(model, x), gradients(model, x, Stream(3).child("gradient")))
    assert found["verdict"] == expected.verdict
    for part in ("activations", "gradients"):
        assert found[part]["name"] == ["0", "1.act", "1.last"]
        assert found[part]["std"] == getattr(expected, part).std.tolist()


def test_a_model_of_a_file_anywhere(folder, monkeypatch, capsys):
    """It can import its neighbours, and may have a package's name: it replaces no module."""
    (nets := folder / "my nets").mkdir()
    (nets / "neighbour.py").write_text("width = 50")
    (nets / "torch.py").write_text(
        "from __future__ import annotations\n"
        "import dataclasses, neighbour\n"
        "from some_models import Pair\n"
        "@dataclasses.dataclass\nclass Size:\n    width: int = neighbour.width\n"
        "class Nets:\n    Pair = Pair\n"
    )
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    before = {name: sys.modules.get(name) for name in ("torch", "__model__")}
    for where in ("my nets/torch.py", str(nets / "torch.py")):
        assert cli.main(["diagnose", "--model", f"{where}:Nets.Pair", "--input", "20,6", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["model"] == f"{where}:Nets.Pair"
        assert {name: sys.modules.get(name) for name in before} == before
        assert str(nets) not in sys.path
    sys.modules.pop("neighbour")


def test_a_model_that_is_there_is_taken(folder, capsys):
    assert cli.main(["diagnose", "--model", "some_models:made", "--input", "20,6"]) == 0
    assert "last" in capsys.readouterr().out
    assert str(folder) not in sys.path


@pytest.mark.parametrize(
    ("model", "shape", "words"),
    [
        ("some_models:fails", "20,6", "some_models:fails: RuntimeError: not today"),
        ("some_models:number", "20,6", "TypeError: it must return a torch.nn.Module; got int"),
        ("some_models:nope", "20,6", "AttributeError: module 'some_models' has no attribute 'nope'"),
        ("no_such_file:Pair", "20,6", "ModuleNotFoundError: No module named 'no_such_file'"),
        ("no_such_file.py:Pair", "20,6", "no_such_file.py:Pair: FileNotFoundError: "),
        ("some_models.py:nope", "20,6", "AttributeError: module '__model__' has no attribute 'nope'"),
        ("some_models:Pair", "20,7", "RuntimeError: mat1 and mat2 shapes cannot be multiplied"),
    ],
)
def test_what_the_model_does_wrong_is_told_in_a_line(folder, model, shape, words, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["diagnose", "--model", model, "--input", shape])
    assert stop.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("pyinit: ")
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--model", "some_models"), "must be FILE.py:NAME or MODULE:NAME"),
        (("--model", "some_models:"), "must be FILE.py:NAME or MODULE:NAME"),
        (("--model", "some_models.py"), "must be FILE.py:NAME or MODULE:NAME"),
        (("--model", "some_models.py:"), "must be FILE.py:NAME or MODULE:NAME"),
        (("--model", "nets/some_models:Pair"), "must be FILE.py:NAME or MODULE:NAME"),
        (("--model", "some_models:Pair"), "--model needs --input"),
        (("--model", "some_models:Pair", "--input", "1,6"), "must be at least 2; got 1"),
        (("--model", "some_models:Pair", "--input", "20,x"), "must be an integer"),
        (("--model", "some_models:Pair", "--input", "20,6", "--layers", "3"), "--layers does not go with --model"),
        (("--model", "some_models:Pair", "--input", "20,6", "--scheme", "big"), "--scheme does not go with --model"),
        (("--input", "20,6"), "--input needs --model"),
        (("--tokens", "9"), "--tokens needs --model"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(arguments, words, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["diagnose", *arguments])
    assert stop.value.code == 2
    assert words in capsys.readouterr().err


def test_without_torch_there_is_a_sentence(folder):
    code = "import sys; sys.modules['torch'] = None; from pyinit import cli; sys.exit(cli.main())"
    result = run("diagnose", "--model", "some_models:Pair", "--input", "20,6", program=("-c", code))
    assert result.returncode == 1
    assert result.stdout == ""
    assert "pip install torch" in result.stderr
    assert result.stderr.count("\n") == 1


def test_diagnostics_need_no_torch():
    code = "import sys; import pyinit.diagnostics, pyinit.cli; sys.exit('torch' in sys.modules)"
    assert run(program=("-c", code)).returncode == 0
