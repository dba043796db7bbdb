"""BitGenerator: a stream's words in NumPy's distributions. NumPy's own checks are in test_bit_generator_numpy.py."""

import copy
import hashlib
import pickle

import numpy as np
import pytest

from pyinit import BitGenerator, Stream
from pyinit.child_streams import ChildStreams

END = 2**66
# Around the edges of a block of four words and of the buffer of 1024, and far out.
POSITIONS = (0, 1, 2, 3, 7, 1022, 1023, 1024, 1025, 2**34 - 1, 2**65 + 3)


def rng(stream):
    return np.random.Generator(BitGenerator(stream))


def hashed(stream, name, person):
    """The id of pyinit's own streams; a child's has no `person`."""
    text = stream.id.to_bytes(8, "little") + name.encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8, person=person).digest(), "little")


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_random_is_the_streams_uniform(tier, generator, position, dtype):
    stream = Stream(5, generator, id=9, position=position)
    drawn = rng(stream)
    for n in (1, 2, 1500, 3000):
        assert np.array_equal(drawn.random(n, dtype=dtype), stream.uniform(n, dtype))
        assert drawn.bit_generator.stream == stream


@pytest.mark.parametrize("position", POSITIONS)
def test_words_are_the_streams(tier, generator, position):
    bits = BitGenerator(Stream(5, generator, position=position))
    words = Stream(5, generator, position=position).bits(5000)
    assert np.array_equal(np.random.Generator(bits).integers(2**32, size=5000, dtype=np.uint32), words)
    bits = BitGenerator(Stream(5, generator, position=position))
    words = words[position % 2 :][:4000].astype(np.uint64)
    assert np.array_equal(bits.random_raw(2000), words[::2] | words[1::2] << np.uint64(32))


def test_draws_of_32_and_64_bits_in_any_order(generator):
    stream = Stream(8, generator, position=1001)
    drawn, choose = rng(stream), np.random.default_rng(0)
    for _ in range(2000):
        n = int(choose.integers(1, 9))
        if choose.integers(2):
            assert drawn.integers(2**32, size=n, dtype=np.uint32).tolist() == stream.bits(n).tolist()
        else:
            assert drawn.random(n).tolist() == stream.uniform(n, np.float64).tolist()
        assert drawn.bit_generator.stream == stream
    assert stream.position > 8 * 1024


def test_it_takes_a_copy():
    stream = Stream(1, position=3)
    drawn = rng(stream)
    drawn.random(9)
    assert stream == Stream(1, position=3)
    stream.bits(50)
    assert drawn.bit_generator.stream == Stream(1, position=4 + 18)
    drawn.bit_generator.stream.bits(5)
    assert drawn.bit_generator.stream.position == 22


def test_behind_the_last_word_comes_the_first(tier, generator):
    first, last = Stream(3, generator).bits(3000), Stream(3, generator, position=END - 5).bits(5)
    drawn = rng(Stream(3, generator, position=END - 5))
    words = drawn.integers(2**32, size=3005, dtype=np.uint32)
    assert np.array_equal(words, [*last, *first])
    assert drawn.bit_generator.stream.position == 3000

    bits = BitGenerator(Stream(3, generator, position=END - 1))
    assert bits.stream.position == END - 1
    assert bits.random_raw() == int(first[0]) | int(first[1]) << 32  # from the next even position

    assert BitGenerator(Stream(3, generator, position=END)).stream.position == 0
    bits = BitGenerator(Stream(3, generator, position=END - 2))
    bits.random_raw()
    assert bits.stream.position == 0


def test_seeds():
    assert BitGenerator(7).stream == Stream(7)
    assert BitGenerator(np.uint64(2**64 - 1)).stream == Stream(2**64 - 1)
    assert BitGenerator().stream.seed != BitGenerator(None).stream.seed
    assert BitGenerator(stream=Stream(1, "ars5")).stream == Stream(1, "ars5")
    for bad in (-1, 2**64):
        with pytest.raises(ValueError, match=r"seed must be in \[0, 2\*\*64\)"):
            BitGenerator(bad)
    for bad in (1.5, "1", [1], np.random.SeedSequence(1), np.random.PCG64(1)):
        with pytest.raises(
            TypeError, match=rf"stream must be a pyinit.Stream, an int or None; got {type(bad).__name__}"
        ):
            BitGenerator(bad)


@pytest.mark.parametrize("position", [0, 1, 1023, END - 4])
def test_advance_counts_draws_of_64_bits(generator, position):
    for delta in (0, 1, 2, 511, 512, 513, 5000):
        drawn, moved = (BitGenerator(Stream(1, generator, position=position)) for _ in range(2))
        drawn.random_raw(delta)
        assert moved.advance(delta) is moved
        assert moved.stream.position == (position + position % 2 + 2 * delta) % END
        assert moved.random_raw() == drawn.random_raw()
        assert moved.advance(-delta - 1).stream.position == (position + position % 2) % END


def test_advance_goes_round():
    here = BitGenerator(Stream(1, position=100))
    for delta in (2**65, -(2**65), 7 * 2**65, 2**200, -(2**200)):
        assert here.advance(delta).stream.position == 100
    assert here.advance(-51).stream.position == END - 2
    assert here.advance(2**64 + 1).stream.position == 2**65
    assert here.advance(np.int64(-1)).stream.position == 2**65 - 2
    with pytest.raises(TypeError, match="delta must be an integer; got float"):
        here.advance(1.0)
    assert here.stream.position == 2**65 - 2


def test_jumped_streams_share_no_word(generator):
    here = BitGenerator(Stream(1, generator, id=2**64 - 2, position=7))
    here.spawn(1)
    jumped = [here.jumped(n) for n in range(5)]
    ids = [hashed(here.stream, str(n), b"pyinit jump") for n in range(1, 5)]
    assert [j.stream for j in jumped] == [Stream(1, generator, id=i, position=7) for i in (2**64 - 2, *ids)]
    assert here.jumped().stream == jumped[1].stream
    assert here.jumped().jumped(2).stream == here.jumped(3).stream == here.jumped(2**64 + 3).stream
    assert jumped[1].jumped(-1).stream == here.stream
    assert here.jumped(-1).stream.id == hashed(here.stream, str(2**64 - 1), b"pyinit jump")
    assert here.jumped().state["n_children_spawned"] == 0
    # From the jump on, and around to the start.
    draws = [set(j.random_raw(2000)) | set(j.advance(-4000).random_raw(2000)) for j in jumped]
    assert len(set.union(*draws)) == 5 * 4000
    with pytest.raises(TypeError, match="jumps must be an integer; got str"):
        here.jumped("1")


def test_state(generator):
    bits = BitGenerator(Stream(2**64 - 1, generator, id=3, position=2**65))
    np.random.Generator(bits).integers(2**32, size=3, dtype=np.uint32)
    bits.spawn(2)
    state = bits.state
    assert state == {
        "bit_generator": "BitGenerator",
        "state": {"generator": generator, "seed": 2**64 - 1, "id": 3, "position": 2**65 + 3},
        "n_children_spawned": 2,
        "origin": 3,
        "jumps": 0,
    }
    next_words = bits.random_raw(5)
    other = BitGenerator(1)
    other.state = state
    assert other.state == state
    assert np.array_equal(other.random_raw(5), next_words)
    assert other.spawn(1)[0].stream == bits.spawn(1)[0].stream
    other.state = bits.jumped(5).state
    assert other.jumped(-5).stream == bits.stream


BAD_STATES = {
    "no dict": (lambda s: list(s), TypeError, "state must be a dict; got list"),
    "of another": (lambda s: {**s, "bit_generator": "PCG64"}, ValueError, "of a BitGenerator; got 'PCG64'"),
    "of none": (lambda s: {}, ValueError, "of a BitGenerator; got None"),
    "a key missing": (lambda s: {k: v for k, v in s.items() if k != "state"}, ValueError, "must have the keys"),
    "a key too many": (lambda s: {**s, "has_uint32": 0}, ValueError, "must have the keys.*has_uint32"),
    "stream no dict": (lambda s: {**s, "state": 3}, TypeError, "state must be a dict; got int"),
    "stream without id": (lambda s: {**s, "state": {"seed": 1}}, ValueError, "generator, seed, id, position"),
    "generator": (lambda s: {**s, "state": {**s["state"], "generator": "mt"}}, ValueError, "generator must be one of"),
    "position": (lambda s: {**s, "state": {**s["state"], "position": -1}}, ValueError, "position must be in"),
    "origin": (lambda s: {**s, "origin": 4}, ValueError, "state must be of 0 jumps from id 0x4; got id 0x0"),
    "jumps": (lambda s: {**s, "jumps": 1}, ValueError, "state must be of 1 jumps from id 0x0; got id 0x0"),
    "origin no int": (lambda s: {**s, "origin": None}, TypeError, "id must be an integer"),
    "children negative": (lambda s: {**s, "n_children_spawned": -1}, ValueError, "n_children_spawned must be non-neg"),
    "children no int": (lambda s: {**s, "n_children_spawned": "1"}, TypeError, "n_children_spawned must be an integer"),
}


@pytest.mark.parametrize(("change", "error", "match"), BAD_STATES.values(), ids=BAD_STATES)
def test_a_bad_state_is_refused_and_changes_nothing(change, error, match):
    bits = BitGenerator(Stream(1, position=5))
    bits.spawn(1)
    state = bits.state
    with pytest.raises(error, match=match):
        bits.state = change(BitGenerator(2).state)
    assert bits.state == state


def test_spawned_are_children_others_at_each_call(generator):
    stream = Stream(4, generator, position=11)
    drawn = rng(stream)
    children = [
        *drawn.bit_generator.spawn(2),
        *(g.bit_generator for g in drawn.spawn(2)),
        *drawn.bit_generator.spawn(1),
    ]
    ids = [hashed(stream, str(i), b"pyinit spawn") for i in range(5)]
    assert [c.stream for c in children] == [Stream(4, generator, id=i) for i in ids]
    assert drawn.bit_generator.stream == stream
    assert drawn.bit_generator.spawn(0) == []
    assert children[0].spawn(1)[0].stream.id == hashed(children[0].stream, "0", b"pyinit spawn")
    with pytest.raises(ValueError, match="n_children must be non-negative; got -1"):
        drawn.bit_generator.spawn(-1)
    with pytest.raises(TypeError, match="n_children must be an integer; got float"):
        drawn.bit_generator.spawn(1.0)
    assert drawn.bit_generator.seed_seq.n_children_spawned == 5


def test_the_seed_sequence_is_one_for_others_too(generator):
    stream = Stream(4, generator, position=11)
    children = BitGenerator(stream).seed_seq
    assert isinstance(children, np.random.bit_generator.ISpawnableSeedSequence)
    assert children.state == {"generator": generator, "seed": 4, "id": 0, "n_children_spawned": 0}
    # SciPy spawns like this: by the seed sequence and the class.
    assert [BitGenerator(c).stream for c in children.spawn(2)] == [b.stream for b in BitGenerator(stream).spawn(2)]
    assert repr(children) == f"ChildStreams(Stream(seed=4, generator={generator!r}, position=0), n_children_spawned=2)"
    assert pickle.loads(pickle.dumps(children)).state == children.state
    words = Stream(4, generator, id=hashed(stream, "", b"pyinit state")).bits(6)
    assert np.array_equal(children.generate_state(6), words)
    pairs = words[::2].astype(np.uint64) | words[1::2].astype(np.uint64) << np.uint64(32)
    assert np.array_equal(children.generate_state(3, np.uint64), pairs)
    assert children.generate_state(3, "uint64").dtype == np.uint64
    assert np.random.PCG64(children).random_raw() == np.random.PCG64(ChildStreams(stream)).random_raw()
    for bad, error in (((-1,), ValueError), ((1, np.int64), ValueError), ((1.0,), TypeError)):
        with pytest.raises(error):
            children.generate_state(*bad)
    with pytest.raises(TypeError, match=r"stream must be a pyinit\.Stream; got int"):
        ChildStreams(1)


class Sub(BitGenerator):
    pass


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, *(
    lambda b, p=p: pickle.loads(pickle.dumps(b, p)) for p in range(pickle.HIGHEST_PROTOCOL + 1))])  # fmt: skip
@pytest.mark.parametrize("kind", [BitGenerator, Sub])
def test_copies_go_their_own_way(generator, again, kind):
    bits = kind(Stream(1, generator, id=5, position=1001))
    bits.random_raw(100)
    bits.spawn(3)
    twin = again(bits)
    assert type(twin) is kind
    assert twin.state == bits.state
    assert twin.spawn(1)[0].state == bits.spawn(1)[0].state
    assert np.array_equal(twin.random_raw(2000), bits.random_raw(2000))
    twin.random_raw()
    assert twin.state != bits.state
    drawn = np.random.Generator(bits)
    drawn_twin = again(drawn)
    if again is not copy.copy:  # copy.copy shares the bit generator
        assert drawn_twin.bit_generator is not bits
        assert drawn_twin.bit_generator.state == bits.state
        assert np.array_equal(drawn_twin.standard_normal(50), drawn.standard_normal(50))


def test_repr_is_the_constructors_call():
    bits = BitGenerator(Stream(1, "ars5", id=2, position=9))
    assert repr(bits) == "BitGenerator(Stream(seed=1, generator='ars5', id=0x2, position=9))"
    assert eval(repr(bits)).state == bits.state
    assert str(np.random.Generator(bits)) == "Generator(BitGenerator)"
