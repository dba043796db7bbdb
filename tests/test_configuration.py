"""Schemes from strings and dicts: valid ones, refused ones with their messages, and no code is run."""

import math

import numpy as np
import pytest

from pyinit import Stream, initializers
from pyinit.initializers import normal, scheme, truncated_normal, uniform, xavier_uniform, zeros


def test_names_alone_and_called():
    assert scheme("zeros") == scheme(" zeros() ") == zeros()
    assert scheme("normal(std=0.02)") == scheme("normal(0.0, 0.02)") == normal(std=0.02)
    assert scheme("uniform(-0.5, high=0.5)") == uniform(-0.5, 0.5)
    assert scheme("xavier_uniform(gain=2, layout='in_out')") == xavier_uniform(2.0, layout="in_out")


def test_mappings():
    assert scheme({"name": "normal", "std": 0.02}) == normal(std=0.02)
    given = {"name": "kaiming_uniform", "nonlinearity": "tanh"}
    assert scheme(given) == initializers.kaiming_uniform(nonlinearity="tanh")
    assert given == {"name": "kaiming_uniform", "nonlinearity": "tanh"}


@pytest.mark.parametrize("alias", ["xavier", "glorot", "kaiming", "he", "lecun"])
def test_a_family_alone_is_its_normal_one(alias):
    assert scheme(alias) == getattr(initializers, f"{alias}_normal")()


def test_every_public_factory_has_a_name():
    arguments = {"constant": "(1)", "sparse": "(0.5)", "variance_scaling": "(1, 'fan_in')", "gpt2_residual": "(2)"}
    others = {"fans", "gain", "scheme"}
    for name in set(initializers.__all__) - others:
        if name[0].islower():
            text = name + arguments.get(name, "")
            assert isinstance(scheme(text), initializers.Scheme), text


def test_schemes_pass_through():
    own = zeros()
    assert scheme(own) is own

    def fill(out, stream):
        return stream.fill_uniform(out)

    assert scheme(fill) is fill


def test_infinity_is_read_back():
    half = truncated_normal(lower=0.0, upper=math.inf)
    assert repr(half) == "TruncatedNormal(lower=0.0, upper=1e999)"
    assert scheme(repr(half)) == half


@pytest.mark.parametrize(
    ("name", "near"),
    [("xavier_nromal", "xavier_normal"), ("HE_NORMAL", "he_normal"), ("kaimin", "kaiming"), ("zero", "zeros")],
)
def test_unknown_names_have_near_matches(name, near):
    with pytest.raises(ValueError, match=f"no scheme is called '{name}'; did you mean .*'{near}'"):
        scheme(name)


def test_a_name_like_none_lists_all():
    with pytest.raises(ValueError, match=r"no scheme is called 'qqqq'; there are .*zeros, .*orthogonal"):
        scheme("qqqq")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "normal(",
        "normal(std=__import__('os').getpid())",
        "normal(std=1 if True else 2)",
        "normal(**{'std': 1})",
        "normal(std=0.02, std=0.03)",
        "normal(*[1, 2])",
        "initializers.normal()",
        "(lambda: 1)()",
        "normal()()",
        "normal(std=x)",
        "normal" + "(" * 500 + ")" * 500,
        "nor\0mal",
    ],
)
def test_what_is_no_scheme_is_not_run(text):
    with pytest.raises(ValueError, match="a scheme's text must be its name, alone or called with plain values"):
        scheme(text)


@pytest.mark.parametrize(
    ("specification", "error", "message"),
    [
        ("normal(sdt=1)", TypeError, r"'normal\(sdt=1\)' makes no scheme: .*unexpected keyword argument 'sdt'"),
        (
            "normal(std=-1)",
            ValueError,
            r"'normal\(std=-1\)' makes no scheme: std must be finite and not negative; got -1.0",
        ),
        ("constant", TypeError, "'constant' makes no scheme: .*missing 1 required positional argument"),
        ("normal(std='0.02')", TypeError, "std must be a real number; got '0.02'"),
        ("constant(1" + "0" * 400 + ")", ValueError, "value must be a number that a float can hold"),
        ("xavier_normal(1e200)", ValueError, "scale must be finite and not negative; got inf"),
        ("gpt2_residual(1" + "0" * 400 + ")", ValueError, "layers must be a number that a float can hold"),
        ("gpt2_residual(2.5)", TypeError, "layers must be an integer; got float"),
        ("mup_output('8')", TypeError, "base_width must be a real number; got '8'"),
        ("xavier(transposed='false')", TypeError, "transposed must be True or False; got 'false'"),
        ({"std": 1}, ValueError, r"needs its name as 'name'; got \{'std': 1\}"),
        ({"name": 3}, TypeError, "a scheme's name must be a str; got 3"),
        ({"name": "normal()"}, ValueError, r"no scheme is called 'normal\(\)'"),
        ({"name": "normal", 1: 2}, TypeError, "makes no scheme: keywords must be strings"),
        (0.02, TypeError, "must be a string, a mapping, or one of pyinit.initializers; got 0.02"),
        (None, TypeError, "must be a string, a mapping, or one of pyinit.initializers; got None"),
        (zeros, TypeError, r"got zeros: did you mean zeros\(\)\?"),
        (normal, TypeError, r"got normal: did you mean normal\(\)\?"),
        (initializers.Uniform, TypeError, r"got Uniform: did you mean Uniform\(\)\?"),
        (lambda: None, TypeError, "must be callable with an array and a stream"),
    ],
)
def test_what_is_refused(specification, error, message):
    with pytest.raises(error, match=message):
        scheme(specification)


def test_a_scheme_of_text_fills():
    out = scheme("he_uniform(mode='fan_out')")(np.empty((8, 3)), Stream(0))
    assert abs(out).max() <= math.sqrt(6 / 8)
