"""initialize: each name's scheme and stream, plans that are refused before anything is written, and interruption."""

import fnmatch
import os
import subprocess
import sys
import textwrap
import threading

import bench_initialize
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import pyinit
from pyinit import Stream, initialize, initializers
from pyinit.initializers import normal, scheme
from pyinit.models import filling, plan

GPT = {"*.c_proj.weight": "gpt2_residual(2)", "*ln_?.weight": "ones", "*.bias": "zeros", "*": "normal(std=0.02)"}


def model(dtype=np.float32):
    """Return all 9 parameters of a small GPT-2."""
    shapes = {"wte.weight": (50, 8), "ln_f.weight": (8,), "ln_f.bias": (8,)}
    for i in range(2):
        shapes |= {f"h.{i}.ln_1.weight": (8,), f"h.{i}.attn.c_proj.weight": (8, 8), f"h.{i}.attn.c_proj.bias": (8,)}
    return {name: np.full(shape, 9.0, dtype) for name, shape in shapes.items()}


def first(name):
    """Return GPT's first pattern that matches a name."""
    return next(pattern for pattern in GPT if fnmatch.fnmatchcase(name, pattern))


def untouched(params):
    return all((value == 9.0).all() for value in params.values())


def test_each_name_gets_its_first_pattern_and_its_own_stream(generator):
    params = model()
    assert initialize(params, 7, GPT, generator=generator) is params
    root = Stream(7, generator)
    for name, value in params.items():
        text = GPT[first(name)]
        assert np.array_equal(value, scheme(text)(np.empty_like(value), root.child(name))), name


def test_a_stream_for_a_seed():
    a, b = model(), model()
    root = Stream(7, "ars5").child("model")
    root.skip_ahead(5)
    initialize(a, root, GPT)
    for name, value in initialize(b, Stream(7, "ars5").child("model"), GPT).items():
        assert np.array_equal(value, a[name])
    assert root.position == 5


def test_no_seed_is_another_each_time():
    a, b = (initialize(model(), None, GPT)["wte.weight"] for _ in range(2))
    assert not np.array_equal(a, b)


@given(st.permutations(sorted(model())), st.integers(1, 9), st.integers(1, 4))
def test_order_number_and_threads_do_not_matter(names, count, threads):
    whole = initialize(model(), 3, GPT)
    part = {name: np.empty_like(whole[name]) for name in names[:count]}
    rules = {p: s for p, s in GPT.items() if p == "*" or any(first(n) == p for n in part)}
    initialize(part, 3, rules, num_threads=threads)
    assert all(np.array_equal(part[name], whole[name]) for name in part)


@pytest.mark.parametrize("threads", [1, 2, 5, None])
def test_large_and_small_tensors_are_filled_as_each_alone(threads):
    """One call fills all of them, and its threads share them in chunks of 512 KiB: some tensors have several."""
    rules = {
        "normal": "normal",
        "uniform": "uniform",
        "truncated": "lecun_truncated_normal",
        "constant": "constant(2)",
        "orthogonal": "orthogonal",
        "sparse": "sparse(0.4)",
        "turned": "xavier_normal",
        "flat": "normal",
        "row": "normal",
        "shard": "xavier_uniform",
        "empty": "normal",
    }
    shapes = dict.fromkeys(rules, (361, 470)) | {"flat": (4001,), "row": (1, 1, 300_000), "empty": (0, 4)}
    shapes |= {"orthogonal": (61, 47), "sparse": (61, 47), "shard": (61, 47)}

    def made():
        params = {name: np.empty(shape, np.float64) for name, shape in shapes.items()}
        return params | {"turned": np.empty((470, 361)).T}

    params = made()
    initialize(params, 1, rules, num_threads=threads, shards={"shard": ((100, 50), (30, 2))})
    for name, value in made().items():
        window = {"global_shape": (100, 50), "offset": (30, 2)} if name == "shard" else {}
        scheme(rules[name])(value, Stream(1).child(name), **window)
        assert np.array_equal(params[name], value), name


def test_shards_are_windows_of_the_whole():
    whole = initialize({"w": np.empty((8, 6)), "b": np.empty(8)}, 0, {"w": "he_uniform", "b": "zeros"})
    shard = {"w": np.empty((3, 6)), "b": np.empty(3)}
    initialize(shard, 0, {"w": "he_uniform", "b": "zeros"}, shards={"w": ((8, 6), (5, 0)), "b": ((8,), (5,))})
    assert np.array_equal(shard["w"], whole["w"][5:])


def test_of_several_kinds_of_arrays():
    torch = pytest.importorskip("torch")
    layer = torch.nn.BatchNorm1d(3)
    params = dict(layer.state_dict(keep_vars=True))
    initialize(params, 0, {"weight": normal(), "running_var": "ones", "*": "zeros"})
    assert layer.num_batches_tracked == 0
    assert layer.weight.std() > 0
    halves = initialize({"a": np.empty(9, np.float16)}, 0, {"*": "normal"})["a"]
    assert np.array_equal(halves, Stream(0).child("a").normal(9, np.float16))


def test_functions_of_ones_own():
    def three(out, stream, global_shape=None, offset=None):
        out[...] = 3 if global_shape is None else offset[0]

    params = model()
    initialize(params, 0, {"*": three}, shards={"wte.weight": ((60, 8), (7, 0))})
    assert (params.pop("wte.weight") == 7).all()
    assert all((value == 3).all() for value in params.values())


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"*.bias": "zeros"}, "no pattern matches 'wte.weight', 'ln_f.weight', 'h.0.ln_1.weight', 'h.0.attn.c_proj.w"),
        ({"*.bais": "zeros", "*.Bias": "zeros", "*": "ones"}, r"fit: no name matches '\*.bais', '\*.Bias'$"),
        ({"*": "ones", "*.bias": "zeros"}, r"earlier patterns take every name of '\*.bias'$"),
        ({"*.weight": "ones", "*x": "ones"}, r"no pattern matches 'ln_f.bias', .*; no name matches '\*x'$"),
        ({"*.bias": "zreos", "*": "ones"}, r"plan\['\*.bias'\]: no scheme is called 'zreos'; did you mean 'zeros'\?"),
        ({}, "no pattern matches 'wte.weight'"),
    ],
)
def test_names_and_patterns_have_to_fit(rules, message):
    params = model()
    with pytest.raises(ValueError, match=message):
        initialize(params, 0, rules)
    assert untouched(params)


@given(
    st.lists(st.text("ab.*?[]!", max_size=6), unique=True, max_size=8),
    st.lists(st.text("ab.[", max_size=5), max_size=8),
)
@example(["ab*ba", "*"], ["aba", "abba"])
def test_the_first_pattern_that_matches_is_found(patterns, names):
    first = plan.index(plan.rules_of(dict.fromkeys(patterns, "ones")))
    for name in names:
        expected = next((pattern for pattern in patterns if fnmatch.fnmatchcase(name, pattern)), None)
        rule = first(name)
        assert (rule and rule.pattern) == expected


def test_a_last_star_may_be_left_with_nothing():
    params = initialize({"a": np.empty(2)}, 0, {"a": "ones", "*": "zeros"})
    assert (params["a"] == 1).all()
    assert initialize({}, 0, {"*": "zeros"}) == {}


def broken(**changed):
    return model() | changed


@pytest.mark.parametrize(
    ("params", "rules", "keywords", "error", "message"),
    [
        (broken(z=[1.0]), GPT, {}, TypeError, "'z': out must be an array that can be written in place; got list"),
        (broken(z=np.full(3, 9)), GPT, {}, TypeError, "'z': out must have dtype float32"),
        (broken(z=np.full(3, 9.0)), {"z": "he_normal", "*": "ones"}, {}, ValueError, "'z': fans need an array"),
        (
            broken(z=np.full(3, 9.0, "f2")),
            {"z": "normal(0, 1e6)", "*": "ones"},
            {},
            ValueError,
            "'z': std must be at most 65504",
        ),
        (broken(z=np.broadcast_to(9.0, 3)), GPT, {}, ValueError, "'z': out must be writable"),
        (broken(), GPT, {"shards": {"q": ((1,), (0,))}}, ValueError, "shards must have names from params; got 'q'"),
        (broken(), GPT, {"shards": {"ln_f.bias": 3}}, TypeError, "'ln_f.bias': a shard must be "),
        (broken(), GPT, {"shards": {"ln_f.bias": (None, None)}}, TypeError, "'ln_f.bias': a shard must be "),
        (broken(), GPT, {"shards": {"ln_f.bias": ((4,), (0,))}}, ValueError, "'ln_f.bias': out must lie inside"),
        (broken(), GPT, {"num_threads": 0}, ValueError, "num_threads must be at least 1; got 0"),
        (broken(), GPT, {"num_threads": "2"}, TypeError, "num_threads must be an int or None"),
        (broken(), GPT, {"generator": "pcg"}, ValueError, "generator must be one of"),
        (broken(), [("*", "ones")], {}, TypeError, "plan must be a mapping; got list"),
        (broken(), {1: "ones"}, {}, TypeError, "plan must have str keys; got 1"),
        (broken(), {"*": initializers.normal}, {}, TypeError, r"plan\['\*'\]: .*did you mean normal\(\)\?"),
        ({**model(), "\ud800": np.full(3, 9.0)}, GPT, {}, ValueError, "surrogates not allowed"),
    ],
)
def test_nothing_is_written_where_anything_is_wrong(params, rules, keywords, error, message):
    with pytest.raises(error, match=message):
        initialize(params, 0, rules, **keywords)
    params.pop("z", None)
    assert untouched(params)


def test_params_is_a_mapping():
    with pytest.raises(TypeError, match="params must be a mapping; got list"):
        initialize([np.empty(3)], 0, GPT)
    with pytest.raises(TypeError, match="params must have str keys; got 0"):
        initialize({0: np.empty(3)}, 0, GPT)


def test_seeds_are_checked():
    with pytest.raises(TypeError, match="seed must be an integer; got str"):
        initialize(model(), "0", GPT)


def test_memory_under_two_names():
    base = np.full((6, 8), 9.0)
    for first, second in (
        (base, base),
        (base, base.T),
        (base[:4], base[3:]),
        (base[:, ::2], base[:, 4:5]),
        (base[::-1], base[5]),
    ):
        with pytest.raises(ValueError, match=r"'tied' and 'wte' must not share memory|'wte' and 'tied' must not share"):
            initialize({"wte": first, "other": np.full(3, 9.0), "tied": second}, 0, {"*": "ones"})
        assert (base == 9.0).all()


def test_one_rule_is_checked_for_each_dtype_and_shape():
    for bad, message in ((np.full((2, 2), 9.0, np.float16), "float16"), (np.full(2, 9.0), "2 dimensions")):
        params = {"good": np.full((2, 2), 9.0), "bad": bad}
        with pytest.raises(ValueError, match=f"'bad': .*{message}"):
            initialize(params, 0, {"*": "identity(1e5)"})
        assert untouched(params)


def test_autograd_is_told():
    torch = pytest.importorskip("torch")
    tensor = torch.zeros(3)
    initialize({"a": tensor}, 0, {"*": "ones"})
    assert tensor._version == 1


def test_memory_side_by_side_is_no_overlap():
    """Columns of one matrix, as for queries, keys and values, and an empty matrix between them."""
    base = np.full((6, 9), 9.0)
    params = {"q": base[:, :3], "k": base[:, 3:6], "v": base[:, 6:], "none": base[:0]}
    initialize(params, 0, {"*": "normal"})
    assert np.array_equal(base[:, 3:6], Stream(0).child("k").normal((6, 3), np.float64))


def test_an_error_in_a_scheme_of_ones_own_comes_through():
    class Failing(initializers.Scheme):
        def fill(self, window, stream, num_threads):
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        initialize({f"{i}": np.empty(1 << 16) for i in range(64)}, 0, {"*": Failing()}, num_threads=2)
    assert threading.active_count() < 20


def test_progress_counts_every_element(monkeypatch):
    told = []

    class Bar:
        def __init__(self, total, what, show):
            told.append((total, what, show))

        def __enter__(self):
            return lambda n: told.append(n)

        def __exit__(self, *error):
            return None

    monkeypatch.setattr(filling, "progress_bar", Bar)
    params = model() | {"o": np.empty((30, 30)), "large": np.empty(1 << 25, np.float32)}
    with pyinit.isa.use("scalar"):  # so that it takes long enough for progress reports
        initialize(params, 0, {"o": "orthogonal", **GPT}, progress=True, num_threads=1)
    total = sum(value.size for value in params.values())
    assert told[0] == (total, "initialising", True)
    assert sum(told[1:]) == total
    assert len(told) > 3


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_stops_it():
    """A signal during a fill of minutes ends it with KeyboardInterrupt, and no thread goes on."""
    code = """
        import os, signal, threading, numpy as np, pyinit
        signal.signal(signal.SIGINT, signal.default_int_handler)  # where the tests themselves run in the background
        from pyinit.initializers import Normal

        class Endless(Normal):
            def fill(self, window, stream, num_threads):
                for _ in range(1000):
                    super().fill(window, stream, num_threads)

        params = {str(i): np.empty(1 << 20, np.float32) for i in range(100)}
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            pyinit.initialize(params, 0, {"*": Endless()}, num_threads=2)
        except KeyboardInterrupt:
            print("stopped", threading.active_count())
    """
    script = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(script, capture_output=True, text=True, timeout=100, cwd=os.path.dirname(pyinit.__path__[0]))
    assert done.stdout.split() == ["stopped", "1"], done.stderr


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_stops_the_one_call(threads):
    """A signal during the call that fills all arrays: some are filled, and some are not."""
    code = f"""
        import os, signal, threading, time, numpy as np, pyinit
        signal.signal(signal.SIGINT, signal.default_int_handler)
        params = {{str(i): np.zeros(1 << 20, np.float32) for i in range(200)}}
        threading.Timer(0.4, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            pyinit.initialize(params, 0, {{"*": "normal"}}, num_threads={threads})
        except KeyboardInterrupt:
            sums = [array.sum() for array in params.values()]
            time.sleep(0.2)
            again = [array.sum() for array in params.values()]
            print("stopped", threading.active_count(), sums[0] != 0, sums[-1] != 0, sums == again)
    """
    script = [sys.executable, "-c", textwrap.dedent(code)]
    folder, environment = os.path.dirname(pyinit.__path__[0]), {**os.environ, "PYINIT_ISA": "scalar"}
    done = subprocess.run(script, capture_output=True, text=True, timeout=100, cwd=folder, env=environment)
    assert done.stdout.split() == ["stopped", "1", "True", "False", "True"], done.stdout + done.stderr


def test_the_benchmark_has_gpt2_xl_and_times_both_ways():
    pytest.importorskip("torch")  # the third way needs torch
    shapes = bench_initialize.gpt2_shapes()
    assert len(shapes) == 580
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 1_557_611_200
    small = bench_initialize.gpt2_shapes(layers=2, width=8, vocabulary=50, context=20)
    for generator, dtype, ways in (("ars5", "float32", 2), ("philox", "bfloat16", 3)):
        result = bench_initialize.measure(
            "tiny", small, bench_initialize.GPT2_PLAN, generator, dtype, 2, lambda name: None
        )
        assert result["tensors"] == 28
        assert [len(times) for times in result["seconds"].values()] == [2] * ways
        assert result["ratio"] > 0
