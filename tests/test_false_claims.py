"""Arrays, states, pickles, streams and bit generators with false claims. See docs/reliability.md."""

import pickle
from contextlib import suppress

import numpy as np
import pytest

import pyinit
from pyinit import BitGenerator, Stream, cuda, distributions

BAD_VALUES = {
    "None": None,
    "negative": -1,
    "large": 2**64 + 2**66,
    "huge": 10**5000,
    "float": 1.5,
    "nan": float("nan"),
    "text": "1",
    "bytes": b"philox",
    "list": [],
    "dict": {},
    "object": object(),
    "text with a zero": "philox\0",
    "ellipsis": ...,
}
HONEST = Stream(5, "ars5", id=9, position=11).state


@pytest.mark.parametrize("key", HONEST)
@pytest.mark.parametrize("value", BAD_VALUES.values(), ids=BAD_VALUES.keys())
def test_a_state_that_is_none_is_refused(key, value):
    for state in ({**HONEST, key: value}, {k: v for k, v in HONEST.items() if k != key}, {**HONEST, "more": value}):
        with pytest.raises((TypeError, ValueError)):
            Stream.from_state(state)


@pytest.mark.parametrize(
    "value", [Stream(5, "ars5", id=9, position=11), BitGenerator(5), distributions.uniform(-1.0, 2.0)], ids=repr
)
def test_a_damaged_pickle_gives_an_error_or_a_valid_object(value):
    """It goes through the constructors, which check. pyinit cannot restrict the code that a foreign pickle runs."""
    data = pickle.dumps(value, 0)
    random, made = np.random.default_rng(7), 0
    for _ in range(400):
        damaged = bytearray(data)
        digits = [i for i, byte in enumerate(data) if chr(byte).isdigit() or chr(byte) in ".-"]
        damaged[random.choice(digits)] = random.choice(list(b"0123456789-.e"))
        try:
            found = pickle.loads(bytes(damaged))
        except Exception:  # from pickle or a constructor
            continue
        made += 1
        if isinstance(found, Stream):
            assert Stream.from_state(found.state) == found
            if found.position < 2**66 - 8:
                found.normal(3)
        elif isinstance(found, BitGenerator):
            np.random.Generator(found).normal(size=3)
        else:
            assert eval(repr(found), {**vars(distributions)}) == found
    assert made > 20


class Claims:
    """An object with claims about memory that does not exist."""

    def __init__(self, memory=None, **claims):
        self.memory = memory  # kept alive
        self.__dict__.update(claims)


def claims(**changes):
    """Return an interface like that of 6 float32, with changes; entries of ... are left out."""
    memory = np.full(6, 7, np.float32)
    described = {**memory.__array_interface__, **changes}
    return memory, {key: value for key, value in described.items() if value is not ...}


@pytest.mark.parametrize(
    "changes",
    [
        {"data": (0, False)},
        {"data": (1, False), "shape": (-1,)},
        {"shape": (2**62, 2**62)},
        {"shape": ("6",)},
        {"shape": None},
        {"typestr": "<f3"},
        {"typestr": "<i4"},
        {"typestr": 4},
        {"strides": (0,)},
        {"strides": (4, 4)},
        {"strides": ("4",)},
        {"version": "3", "data": None},
        {"data": ("here", False)},
        {"shape": ...},
        {"typestr": ...},
    ],
    ids=repr,
)
def test_an_array_interface_that_cannot_be_true_is_refused(changes):
    memory, described = claims(**changes)
    with pytest.raises((TypeError, ValueError, BufferError)):
        Stream(1).fill_normal(Claims(memory, __array_interface__=described))
    assert (memory == 7).all()


@pytest.mark.parametrize(
    "capsule", [lambda **_: None, lambda **_: 5, lambda **_: pyinit._core.xla_handler(1), lambda: 0], ids=range(4)
)
def test_a_capsule_that_is_none_is_refused(capsule):
    with pytest.raises(TypeError, match="in place"):
        Stream(1).fill_normal(Claims(__dlpack__=capsule, __dlpack_device__=lambda: (1, 0)))


def test_a_capsule_is_taken_once():
    memory = np.full(6, 7, np.float32)
    made = []

    def export(**keywords):
        made.append(made[0] if made else memory.__dlpack__(**keywords))
        return made[0]

    out = Claims(__dlpack__=export, __dlpack_device__=lambda: (1, 0))
    Stream(1).fill_normal(out)
    assert np.array_equal(memory, Stream(1).normal(6))
    with pytest.raises(TypeError, match="in place"):
        Stream(1).fill_normal(out)


@pytest.mark.parametrize(
    "changes",
    [
        {"data": (0, False)},
        {"data": ...},
        {"data": (16,)},
        {"data": ("here", False)},
        {"data": (18, False)},
        {"shape": (-6,)},
        {"shape": (2**62, 2**62)},
        {"shape": 6},
        {"strides": (6,)},
        {"strides": (4, 4)},
        {"strides": ("4",)},
        {"typestr": "<f3"},
        {"typestr": ...},
        {"mask": 5},
    ],
    ids=repr,
)
def test_a_cuda_interface_that_cannot_be_true_is_refused(changes):
    _, described = claims(data=(4096, False), strides=None, **{})
    described = {key: value for key, value in {**described, **changes}.items() if value is not ...}
    with pytest.raises((TypeError, ValueError)):
        cuda.view(Claims(__cuda_array_interface__=described))


def test_bit_generators_believe_neither_streams_nor_subclasses():
    class Far(int):
        def __mod__(self, other):
            return Far(1 << 40)

    class Elsewhere(Stream):
        position = property(lambda self: Far(1 << 40), lambda self, value: None)

    class Uncalled(BitGenerator):
        def __init__(self):
            pass

    class Another(BitGenerator):
        usual = True

        def __new__(cls, *arguments):
            return BitGenerator.__new__(cls) if cls.usual else object()

    assert (BitGenerator(Elsewhere(1)).random_raw(4) == BitGenerator(1).random_raw(4)).all()
    for use in (lambda b: b.random_raw(), lambda b: b.state, lambda b: b.jumped(), lambda b: b.advance(1)):
        with pytest.raises(TypeError, match="must call its __init__"):
            use(Uncalled())
    other = Another(1)
    Another.usual = False
    with pytest.raises(TypeError, match="Cannot convert object to pyinit"):
        other.jumped()


def test_a_bit_generator_that_draws_while_its_arguments_are_read():
    class Drawing:
        def __init__(self, draw):
            self.draw = draw

        def __index__(self):
            self.draw()
            return 2

    made = BitGenerator(1)
    draw = Drawing(lambda: made.random_raw(3000))
    for method in ("advance", "jumped", "spawn"):
        getattr(made, method)(draw)
    assert made.stream.position == 2 * (9000 + 2)
    state = made.state
    for key, inner in [(key, False) for key in state] + [(key, True) for key in state["state"]]:
        changed = {**state, "state": {**state["state"], key: draw}} if inner else {**state, key: draw}
        with suppress(TypeError, ValueError):
            made.state = changed
        assert (made.random_raw(3) == BitGenerator(made.stream).advance(-3).random_raw(3)).all()
