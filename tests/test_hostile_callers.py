"""No caller's code makes pyinit write outside arrays: three programs of cases, plain and under a sanitizer."""

import inspect
import os
import shutil
import subprocess
import sys
import sysconfig

import hostile_callers
import numpy as np
import pytest
from conftest import COMPILER, ROOT

import pyinit
from pyinit import Stream, checkpoint, diagnostics, files, models, network

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="guards pages by mprotect, of Linux's C library")
# The fills themselves, the entries around them, and tensors.
FILLS, AROUND, LYING = "hostile_callers.py", "hostile_parameters.py", "hostile_tensors.py"


def run(program, **environment):
    """Run all cases in a new process; return how many, how many ran a caller's code, and what was wrong."""
    env = {**os.environ, "PYINIT_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONFAULTHANDLER": "1", **environment}
    command = [sys.executable, ROOT / "tests" / program, "0", "1"]
    result = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    cases = [line for line in result.stderr.splitlines() if " | " in line]
    assert result.returncode == 0, f"after {cases[-1:]}: {result.stderr[-3000:]}"
    numbers, *wrong = result.stdout.splitlines()
    count, reached = map(int, numbers.split())
    return count, reached, wrong


def test_a_callers_code_cannot_make_a_fill_write_elsewhere():
    """All cases: 19,000 with PyTorch."""
    count, reached, _ = run(FILLS)
    assert count == len(list(hostile_callers.cases()))
    assert reached > 0.85 * count


def test_tensors_whose_class_lies_are_filled_where_they_lie_or_not_at_all():
    pytest.importorskip("torch")
    count, filled, wrong = run(LYING)
    assert not wrong
    assert count > filled > count / 2


def test_however_a_parameter_answers_an_entry_does_what_it_should_or_nothing():
    """3,500 cases with PyTorch, JAX, Keras and Dask."""
    count, reached, wrong = run(AROUND)
    assert not wrong
    assert count > 1000
    assert reached > 0.85 * count


@pytest.mark.parametrize("name", [name for name in dir(Stream) if name.startswith("fill")])
def test_every_parameter_of_a_fill_has_cases(name):
    parameters = set(inspect.signature(getattr(Stream, name)).parameters)
    assert parameters - {"self", "out", "distribution", "method"} <= set(hostile_callers.FILLS[name])


def test_a_fill_beyond_its_array_would_be_found():
    """In this program, a write beyond the array ends the process, and the last line names the case."""
    code = """
        import sys, ctypes
        sys.path.insert(0, sys.argv[1])
        from hostile_arrays import Target
        target = Target("plain/small")
        ctypes.memset(target.begin, 0, target.out.nbytes)
        print("inside", flush=True)
        ctypes.memset(target.begin, 0, target.out.nbytes + 1)
        print("beyond")
    """
    command = [sys.executable, "-c", inspect.cleandoc(code), str(ROOT / "tests")]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert result.returncode < 0
    assert result.stdout.split() == ["inside"]


def library_of(name):
    """Return the path at which the compiler finds a library; otherwise the name alone."""
    if not shutil.which(COMPILER):
        return name
    command = [COMPILER, f"-print-file-name={name}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory):
    """A copy of the package with extensions built with AddressSanitizer, and the libraries to load before it."""
    libraries = [library_of("libasan.so"), library_of("libstdc++.so.6")]  # it throws PyTorch's exceptions
    if not all(map(os.path.isabs, libraries)):
        pytest.skip(f"{COMPILER} has no AddressSanitizer that can be loaded here")
    folder = tmp_path_factory.mktemp("sanitized")
    ignored = shutil.ignore_patterns(f"*{sysconfig.get_config_var('SHLIB_SUFFIX')}", "*.c", "__pycache__")
    shutil.copytree(ROOT / "pyinit", folder / "pyinit", ignore=ignored)
    for name in ("src_c", "setup.py", "pyproject.toml", "README.md", "LICENSE"):
        (folder / name).symlink_to(ROOT / name)
    env = {**os.environ, "PYTHONPATH": str(folder), "CFLAGS": "-fsanitize=address -fno-omit-frame-pointer -g"}
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    built = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder, " ".join(libraries)


@pytest.mark.slow
@pytest.mark.parametrize("program", [FILLS, AROUND, LYING])
def test_no_case_touches_memory_that_is_not_its_own(sanitized, program):
    if program == LYING:
        pytest.importorskip("torch")
    folder, library = sanitized
    options = "detect_leaks=0:allocator_may_return_null=1:handle_segv=1:detect_odr_violation=0"
    environment = {"LD_PRELOAD": library, "ASAN_OPTIONS": options, "PYTHONMALLOC": "malloc"}
    count, _, wrong = run(program, PYTHONPATH=str(folder), **environment)
    assert count > 500
    assert not wrong


@pytest.mark.parametrize("kind", ["tensor", "parameter", "half_tensor", "tensor_subclass"])
@pytest.mark.parametrize("size", [0, 16])
def test_a_storage_that_is_too_small_is_refused(kind, size):
    pytest.importorskip("torch")
    target = hostile_callers.Target(f"{kind}/small")
    hostile_callers.KINDS[target.kind][f"storage to {'little' if size else 'nothing'}"](target)
    with pytest.raises((TypeError, ValueError), match="out must have memory for all of its elements"):
        Stream(1).fill_normal(target.out)
    with pytest.raises((TypeError, ValueError), match="out must have memory for all of its elements"):
        pyinit.initialize({"a": target.out}, 1, {"*": "normal(std=1)"})


def test_a_parameter_of_several_numbers_is_named():
    torch = pytest.importorskip("torch")
    for value in (torch.tensor([1.0, 2.0]), torch.empty((), device="meta")):
        with pytest.raises(TypeError, match="mean must be a real number; got Tensor"):
            Stream(1).normal(3, mean=value)
        with pytest.raises(TypeError, match="mean must be a real number; got Tensor"):
            pyinit.initializers.normal(mean=value)


@pytest.mark.filterwarnings("error")
def test_a_small_integer_of_numpy_is_a_number_of_threads():
    """The small type cannot hold pyinit's own limits."""
    w = np.zeros(3, np.float32)
    pyinit.initialize({"w": w}, 1, {"*": "normal(std=1)"}, num_threads=np.int8(127))
    assert np.array_equal(w, Stream(1).child("w").normal(3, num_threads=np.int8(127)))


@pytest.mark.parametrize("bad", [3.5, b"w.npy", None, ["w.npy"]])
def test_what_is_no_path_is_named(bad):
    calls = {
        "path": [lambda: files.fill(bad, 3, "zeros"), lambda: checkpoint.verify(bad, "zeros", 1)],
        "folder": [lambda: checkpoint.write({"w": {"shape": [3], "scheme": "zeros"}}, bad)],
        "other": [lambda: checkpoint.against("a.npy", bad)],
    }
    for name, group in calls.items():
        for call in group:
            with pytest.raises(TypeError, match=f"{name} must be a str or path-like; got {type(bad).__name__}"):
                call()


def test_what_has_no_text_is_refused_too():
    """An error while making the message would hide the cause."""

    class Untold:
        def __repr__(self):
            raise IndexError

        def __eq__(self, other):
            return True

        def __hash__(self):
            return 1

    for call in (
        lambda bad: pyinit.initializers.normal(bad),
        lambda bad: pyinit.initializers.variance_scaling(1.0, bad),
        lambda bad: network.Dense(bad),
        lambda bad: network.Dense(1, bad),
        lambda bad: network.Network(1, [bad]),
        lambda bad: files.fill("a.npy", 3, bad),
        lambda bad: pyinit.initialize({"w": np.zeros(3)}, 1, {"*": "zeros"}, shards={"w": bad}),
    ):
        with pytest.raises((TypeError, ValueError), match="a Untold that has no text"):
            call(Untold())


def test_bad_numbers_have_a_text():
    """Python has no text for integers of more than 4,300 digits."""
    huge = 10**5000
    calls = [
        lambda: Stream(1).normal(3, num_threads=-huge),
        lambda: Stream(1).normal(3, global_shape=huge),
        lambda: Stream(1).normal(3, global_shape=(-huge,)),
        lambda: Stream.from_state({huge: 1}),
        lambda: pyinit.initialize({huge: 0}, 1, {}),
        lambda: pyinit.initializers.scheme({"name": "normal", "std": huge}),
        lambda: pyinit.BitGenerator(1).spawn(-huge),
        lambda: files.fill("a.npy", -huge, "zeros"),
        lambda: files.fill("a.npy", 3, "zeros", chunk_bytes=-huge),
        lambda: files.fill("a.zarr", 3, "zeros", part=(huge, 1)),
        lambda: files.fill("a.npy", 3, "zeros", dtype=huge),
        lambda: files.fill("a.npy", 3, huge),
        lambda: checkpoint.write({"w": huge}, "a"),
        lambda: checkpoint.write({"w": {"shape": [-huge], "scheme": "zeros"}}, "a"),
        lambda: checkpoint.write({}, "a", shard_bytes=-huge),
        lambda: checkpoint.write({}, "a", names=huge),
        lambda: network.Dense(-huge),
        lambda: network.Dense(1, huge),
        lambda: network.Network(huge, [network.Dense(1)]),
        lambda: network.Network(1, [huge]),
        lambda: network.Network(1, [network.Dense(1)], device=huge),
        lambda: diagnostics.diagnose(layers=-huge),
        lambda: models.shards((-huge,), []),
        lambda: models.shards((4,), [(huge, 1, 0)]),
        lambda: models.shards((4,), [(0, 2, huge)]),
        lambda: pyinit.initialize({"w": np.zeros(3)}, 1, {"*": "zeros"}, shards={"w": huge}),
        lambda: pyinit.initialize({"w": np.zeros(3)}, 1, {"*": huge}),
        lambda: pyinit.initializers.kaiming_normal(nonlinearity=huge),
        lambda: pyinit.initializers.kaiming_normal(mode=huge),
        lambda: pyinit.initializers.kaiming_normal(groups=-huge),
        lambda: pyinit.initializers.kaiming_normal(layout=huge),
    ]
    for call in calls:
        with pytest.raises((TypeError, ValueError), match=r"a number of 1661[01] bits|that has no text"):
            call()
