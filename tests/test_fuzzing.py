"""The fuzzers of Python code: useful inputs that they found, run without the fuzzer; and they notice faults."""

from importlib import import_module
from pathlib import Path

import pytest
from fuzzing import readers, streams
from fuzzing.choices import Choices

import pyinit

CORPUS = Path(__file__).with_name("fuzzing") / "corpus"


@pytest.mark.parametrize("name", ["streams", "readers"])
def test_what_a_fuzzer_found_of_use(name):
    target = import_module(f"fuzzing.{name}")
    files = sorted((CORPUS / name).iterdir())
    assert len(files) > 50
    for path in files:
        target.one_input(path.read_bytes())


def test_the_whole_files_that_the_readers_begin_with_are_read():
    """If no reader accepted a file, the fuzzer would reach the code after it only by chance."""
    whole = readers.samples()
    assert list(whole) == list(readers.READERS)[: len(whole)]
    for name, data in whole.items():
        path = readers.FOLDER / name
        path.write_bytes(data)
        readers.READERS[name](path)


@pytest.mark.parametrize("fault", ["a sample that is another", "a position that is another"])
def test_a_fill_that_writes_something_else_is_found(fault, monkeypatch):
    """The test makes fills of an array wrong; the fill of the whole tensor, with one thread, stays correct."""
    right = pyinit.Stream.fill

    def wrong(stream, out, distribution, **options):
        right(stream, out, distribution, **options)
        if options.get("num_threads") != 1 and out.size > 1:
            if fault == "a sample that is another":
                out[(0,) * out.ndim] = 77
            elif stream.position <= 2**66 - 4:
                stream.skip_ahead(4)

    found = 0
    monkeypatch.setattr(pyinit.Stream, "fill", wrong)
    for path in sorted((CORPUS / "streams").iterdir()):
        try:
            streams.one_input(path.read_bytes())
        except streams.FoundError:
            found += 1
    assert found > 10


def test_an_error_of_another_kind_is_found():
    with pytest.raises(streams.FoundError, match="the kind of error"):
        streams.refused(OverflowError("too large"))


def test_bytes_choose_the_same_again_and_end_in_zeros():
    for data in (b"", b"\x07", bytes(range(256))):
        a, b = Choices(data), Choices(data)
        assert [a.below(300) for _ in range(200)] == [b.below(300) for _ in range(200)]
    assert Choices(b"\x2c\x01").below(1 << 16) == 300
    assert Choices(b"").integer(64) == 0
