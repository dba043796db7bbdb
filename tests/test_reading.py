"""Tensors in .safetensors and .npy files: files of other writers are read; files that other readers refuse are not."""

import json
import math

import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pyinit.arrays import BFLOAT16, FLOAT8_E4M3FN, FLOAT8_E5M2, dtype_of
from pyinit.files import reading
from pyinit.files.formats import SAFETENSORS
from pyinit.files.reading import npy_file, safetensors_file
from pyinit.models.tensors import boxes
from pyinit.untrusted import DamagedError

THEIRS = {name: name for name in SAFETENSORS} | {
    "bfloat16": ml_dtypes.bfloat16,
    "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8_e5m2": ml_dtypes.float8_e5m2,
}
shapes = st.lists(st.integers(0, 5), max_size=5).map(tuple)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
quick = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])


def values_of(shape, dtype, seed=0):
    """Return random bits, as an array of a dtype; booleans are 0 or 1."""
    dtype = np.dtype(dtype)
    bits = np.random.default_rng(seed).integers(0, 256, (math.prod(shape), dtype.itemsize), np.uint8)
    return (bits & 1 if dtype.kind == "b" else bits).view(dtype).reshape(shape)


def same_bits(a, b):
    return a.shape == b.shape and a.tobytes() == b.tobytes()


@quick
@given(st.dictionaries(texts, st.tuples(shapes, st.sampled_from(list(THEIRS))), max_size=6), st.data())
def test_what_safetensors_writes_is_read(tmp_path, entries, data):
    """With any names, dtypes, metadata and shapes, including tensors without elements or dimensions."""
    entries.pop("__metadata__", None)
    metadata = data.draw(st.none() | st.dictionaries(texts, texts, min_size=1, max_size=3))
    arrays = {name: values_of(shape, THEIRS[dtype]) for name, (shape, dtype) in entries.items()}
    safetensors.numpy.save_file(arrays, tmp_path / "a.safetensors", metadata)
    found = safetensors_file(tmp_path / "a.safetensors")
    assert found.metadata == (metadata or {})
    assert {t.name: (t.shape, t.dtype) for t in found.tensors} == entries
    for tensor in found.tensors:
        assert same_bits(tensor.read(0, tensor.shape), arrays[tensor.name])


def test_what_torch_writes_is_read(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    kinds = [name for name in SAFETENSORS if hasattr(torch, name)]
    assert len(kinds) >= 14
    arrays = {name: values_of((3, 2), THEIRS[name], seed) for seed, name in enumerate(kinds)}
    unsigned = {name: torch.from_numpy(a.view(f"u{a.itemsize}")) for name, a in arrays.items()}
    tensors = {name: bits.view(getattr(torch, name)) for name, bits in unsigned.items()}
    others = {"complex": torch.zeros(2, dtype=torch.complex64), "exponents": torch.zeros(3, dtype=torch.uint8)}
    others["exponents"] = others["exponents"].view(torch.float8_e8m0fnu)
    save_file(tensors | others, tmp_path / "a.safetensors")
    found = {t.name: t for t in safetensors_file(tmp_path / "a.safetensors").tensors}
    assert all(same_bits(found[name].read(0, (3, 2)), arrays[name]) for name in kinds)
    assert [found[name].problem for name in others] == [f"not compared: its dtype is {d}" for d in ("C64", "F8_E8M0")]
    assert {found[name].kind for name in ("bfloat16", "float8_e4m3fn", "float8_e5m2", "complex")} == {
        BFLOAT16, FLOAT8_E4M3FN, FLOAT8_E5M2, None,
    }  # fmt: skip


@quick
@given(shapes, st.sampled_from([n for n in THEIRS if THEIRS[n] == n]), st.sampled_from([(1, 0), (2, 0), (3, 0)]))
def test_what_numpy_writes_is_read(tmp_path, shape, dtype, version):
    array = values_of(shape, dtype)
    with open(tmp_path / "a.npy", "wb") as file:
        np.lib.format.write_array(file, array, version)
    stored = npy_file(tmp_path / "a.npy", "w")
    assert (stored.name, stored.shape, stored.dtype) == ("w", shape, dtype)
    assert same_bits(stored.read(0, shape), array)


@quick
@given(shapes, st.sampled_from(["float32", "bfloat16", "float64", "int8"]), st.integers(1, 200), st.data())
def test_blocks_and_boxes_are_slices(tmp_path, shape, dtype, nbytes, data):
    array = values_of(shape, THEIRS[dtype])
    safetensors.numpy.save_file({"before": np.ones(3, np.int8), "w": array}, tmp_path / "a.safetensors")
    stored = next(t for t in safetensors_file(tmp_path / "a.safetensors").tensors if t.name == "w")
    seen = np.zeros(shape, int)
    for offset, extent, read in stored.blocks(nbytes):
        part = tuple(slice(o, o + n) for o, n in zip(offset, extent))
        values = read()
        assert values.nbytes <= max(nbytes, array.itemsize)
        assert same_bits(values, array[part])
        seen[part] += 1
    assert (seen == 1).all()
    offset = [data.draw(st.integers(0, n)) for n in shape]
    extent = [data.draw(st.integers(0, n - o)) for n, o in zip(shape, offset)]
    part = tuple(slice(o, o + n) for o, n in zip(offset, extent))
    assert same_bits(stored.box(tuple(offset), tuple(extent)), array[part])


def test_a_box_of_a_run_reads_the_run_alone(tmp_path, monkeypatch):
    """Also if the first dimension is 1: a block of [1, 10**9] once took gigabytes."""
    shape = (1, 2, 3, 4)
    np.save(tmp_path / "a.npy", np.arange(24.0).reshape(shape))
    stored, sizes = npy_file(tmp_path / "a.npy", "w"), []
    read = reading.Stored.read
    monkeypatch.setattr(reading.Stored, "read", lambda self, *run: sizes.append(math.prod(run[1])) or read(self, *run))
    for start in range(24):
        for stop in range(start, 25):
            for offset, extent in boxes(shape, start, stop):
                stored.box(offset, extent)
                assert sizes.pop() == math.prod(extent)


counts = st.integers(0, 6) | st.sampled_from([2**31, 2**32, 2**61, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**20])
strange = st.sampled_from([-1, 0.5, -0.0, None, True, [], {}, "1", float("nan"), 1e999, [[]]])
entry = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from([*SAFETENSORS.values(), "F4", "F6_E2M3", "F8_E8M0", "C64"]) | strange,
        "shape": st.lists(counts, max_size=3) | st.lists(counts | strange, max_size=3) | strange,
        "data_offsets": st.lists(counts, min_size=2, max_size=2) | st.lists(counts | strange, max_size=3) | strange,
    }
)
SEPARATORS = [(",", ":"), (" ,\n", "\t: "), (",,", ":"), (",", ""), (", ", ": ")]
space = st.sampled_from(["", " ", "\n", "\0", "x", "\ufeff", "{}", "//"])


@settings(quick, max_examples=400)
@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "é", "\ud800", "__metadata__", ""]), entry | strange), max_size=3),
    st.integers(0, 24), st.sampled_from(SEPARATORS), space, space, st.booleans(),
)  # fmt: skip
@example([("a", {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]})] * 2, 8, (",", ":"), "", "", True)
@example([("__metadata__", None)], 0, (",", ":"), "", "", True)
@example(
    [("a", {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], "data_offsets ": 1})], 4, (",", ":"), "", "", True
)
def test_headers_that_safetensors_refuses_are_refused(tmp_path, pairs, size, separators, before, behind, escaped):
    text = separators[0].join(
        json.dumps(name, ensure_ascii=escaped or name == "\ud800")
        + separators[1]
        + json.dumps(value, separators=(",", ":"))
        for name, value in pairs
    )
    agree(tmp_path / "a.safetensors", (before + "{" + text + "}" + behind).encode(), bytes(size))


@settings(quick, max_examples=400)
@given(st.dictionaries(texts, st.tuples(shapes, st.sampled_from(list(THEIRS))), max_size=4), st.data())
def test_headers_with_some_other_bytes_are_read_as_by_safetensors(tmp_path, entries, data):
    entries.pop("__metadata__", None)
    arrays = {name: values_of(shape, THEIRS[dtype]) for name, (shape, dtype) in entries.items()}
    whole = bytearray(safetensors.numpy.save(arrays, data.draw(st.none() | st.just({"a": "1"}))))
    length = int.from_bytes(whole[:8], "little")
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(8, 7 + length))
        whole[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2) | st.sampled_from(list(BITS)))
    length += len(whole) - 8 - length - sum(a.nbytes for a in arrays.values())
    agree(tmp_path / "a.safetensors", bytes(whole[8 : 8 + length]), bytes(whole[8 + length :]))


BITS = (b"0", b"1", b"9", b"-", b'"', b",", b"}", b"{", b"]", b"[", b":", b" ", b"\\", b"\\u00e9", b"e0", b".0")


def agree(path, header, data):
    """Compare with safetensors: read no file that it refuses, and read the others alike."""
    whole = len(header).to_bytes(8, "little") + header + data
    path.write_bytes(whole)
    try:
        theirs = {name: (entry["dtype"], tuple(entry["shape"])) for name, entry in safetensors.deserialize(whole)}
    except safetensors.SafetensorError:
        theirs = None
    try:
        found = {t.name: (SAFETENSORS.get(t.dtype, t.dtype), t.shape) for t in safetensors_file(path).tensors}
    except DamagedError as error:
        found, sentence = None, str(error)
    assert found is not None or sentence.startswith(f"{path}: ")
    if theirs is None:
        assert found is None or any(dtype not in KNOWN for dtype, _ in found.values()), header
    elif found is None:
        assert not is_usual(header), header
    else:
        assert found == theirs


KNOWN = {*SAFETENSORS.values(), *reading.OTHERS}


def is_usual(header):
    """Whether a header has nothing that the format forbids or writers never make, although safetensors reads it."""
    pairs = json.loads(header, object_pairs_hook=list)
    return (
        header.startswith(b"{")
        and len(dict(pairs)) == len(pairs)
        and all(
            sorted(key for key, _ in entry) == ["data_offsets", "dtype", "shape"]
            and math.prod(n for n in dict(entry)["shape"] if n) < 2**60
            for name, entry in pairs
            if name != "__metadata__"
        )
    )


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }",
        "{'shape':(2,),'descr':'<f4','fortran_order':False}",
        "{\"descr\": \"<f4\",\n 'fortran_order': False , 'shape': ( 2 , ) ,}",
    ],
)
def test_npy_headers_of_other_writers_are_read(tmp_path, header):
    assert npy_file(npy(tmp_path, header), "w").shape == (2,)


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }", "row-major"),
        ("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", "little-endian"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", "little-endian"),
        ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", "does not describe an array"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", "140 bytes"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2), }", "does not describe an array"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", "does not describe an array"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2**1,), }", "does not describe an array"),
        ("{'descr': '<f4', 'descr': '<f4', 'shape': (2,), }", "does not describe an array"),
        ("{'descr': '<f4', 'fortran_order': __import__('os'), 'shape': (2,), }", "does not describe an array"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", "shape"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 9223372036854775807, 9223372036854775807)}", "shape"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1," * 65 + "), }", "shape"),
        ("-" * 60000 + "1", "does not describe an array"),
        ("{" + "'descr': '<f4'," * 4000, "does not describe an array"),
    ],
)
def test_npy_headers_that_are_none_are_refused(tmp_path, header, why):
    path = npy(tmp_path, header)
    with pytest.raises(DamagedError, match=f"^{path}: .*{why}"):
        npy_file(path, "w")


def npy(folder, header):
    """Write a .npy file of version 1.0 with a header, and two numbers."""
    text = header.encode().ljust(118)
    (folder / "a.npy").write_bytes(b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + bytes(8))
    return folder / "a.npy"


def test_dtypes_have_the_sizes_of_safetensors():
    for name in SAFETENSORS:
        assert dtype_of(name).itemsize == np.dtype(THEIRS[name]).itemsize
