"""`pyinit schemes`: every scheme is listed, explained and drawn."""

import inspect
import json

import numpy as np
import pytest

from pyinit import Stream, cli, initializers, plots
from pyinit.cli import schemes

FUNCTIONS = {name for name in initializers.__all__ if name.islower()} - {"fans", "gain", "scheme"}


def printed(capsys, *arguments):
    assert cli.main(["schemes", *arguments]) == 0
    return capsys.readouterr().out


def test_every_scheme_is_listed_once_with_its_other_names():
    names = [name for d in schemes.catalogue() for name in (d.name, *d.aliases)]
    assert len(names) == len(set(names))
    assert set(names) == FUNCTIONS | {"xavier", "glorot", "kaiming", "he", "lecun"}


def test_the_list_shows_calls_and_first_sentences(capsys):
    text = " ".join(printed(capsys).split())
    for d in schemes.catalogue():
        assert d.call in text
        assert f"{d.summary} " in text
        assert "`" not in d.summary
    assert "Also he_normal, kaiming, he." in text


@pytest.mark.parametrize("name", ["gpt2_residual", "constant", "sparse", "kaiming_uniform", "orthogonal"])
def test_one_scheme_is_explained(name, capsys):
    text = " ".join(printed(capsys, name).split())
    function = getattr(initializers, name)
    for parameter in inspect.signature(function).parameters:
        assert parameter in text
    head = inspect.getdoc(function).partition("\nParameters\n")[0].partition("\nExamples\n")[0]
    assert " ".join(head.replace("`", "").split()) in text
    if "Source\n" in inspect.getdoc(function):
        assert "Source: " in text


def test_another_name_is_the_same_scheme(capsys):
    assert printed(capsys, "he") == printed(capsys, "kaiming_normal")


def test_json_is_one_document_with_the_spread_of_what_is_filled(capsys):
    document = json.loads(printed(capsys, "--json"))
    by_name = {entry["name"]: entry for entry in document["schemes"]}
    assert list(by_name) == schemes.names()
    for name in ("xavier_uniform", "mup_output", "gpt2_residual"):
        entry = by_name[name]
        values = initializers.scheme(entry["example"])(np.empty(entry["shape"], np.float32), Stream(0).child(name))
        assert (entry["min"], entry["max"]) == (values.min(), values.max())
        assert entry["std"] == pytest.approx(values.std(), rel=1e-4)
    assert by_name["gpt2_residual"]["std"] == pytest.approx(0.02 / np.sqrt(24), rel=0.02)
    assert len(by_name["dirac"]["shape"]) == 3
    assert by_name["sparse"]["parameters"].keys() == {"sparsity : float in [0, 1]", "std : float, at least 0"}


def test_an_unknown_name_exits_with_2_and_says_what_is_like_it(capsys):
    for name in ("kaiming_unifrom", "Normal"):
        with pytest.raises(SystemExit) as stop:
            cli.main(["schemes", name])
        assert stop.value.code == 2
        assert "did you mean" in capsys.readouterr().err


def test_the_spreads_are_drawn(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    file = tmp_path / "schemes.png"
    assert "schemes.png" in printed(capsys, "zeros", "sparse", "--save", str(file))
    assert file.read_bytes().startswith(b"\x89PNG")


def test_a_panel_shows_the_values_of_its_scheme():
    pytest.importorskip("matplotlib")
    values = {name: schemes.samples(name) for name in ("small", "uniform", "zeros", "identity", "sparse")}
    figure = plots.scheme_spreads(values, title="Some")
    assert [axes.get_title() for axes in figure.axes] == list(values)
    for axes, drawn in zip(figure.axes, values.values(), strict=True):
        [text] = axes.texts
        assert text.get_text() == f"std {drawn.std(dtype=np.float64):.3g}"
        [stairs] = axes.patches
        shares, edges, _ = stairs.get_data()
        assert shares.sum() == pytest.approx(1)
        assert edges[-1] == -edges[0] == pytest.approx(abs(drawn).max() or 1)
    with pytest.raises(ValueError, match="something to draw"):
        plots.scheme_spreads({})
