"""NumPy's checks of its own bit generators, run on BitGenerator with Philox and with ARS-5."""

import pickle

import numpy as np
import pytest
import reference

from pyinit import BitGenerator, Stream

direct = pytest.importorskip("numpy.random.tests.test_direct", reason="this NumPy came without its tests")
generator = pytest.importorskip("numpy.random.tests.test_generator_mt19937")
regressions = pytest.importorskip("numpy.random.tests.test_generator_mt19937_regressions")
smoke = pytest.importorskip("numpy.random.tests.test_smoke")


class ARS5BitGenerator(BitGenerator):
    """The class that the checks construct from a seed, as they do with NumPy's classes."""

    def __init__(self, stream=None):
        super().__init__(Stream(stream, "ars5") if stream is None or isinstance(stream, int) else stream)


class Smoke(smoke.RNG):
    kind = BitGenerator
    test_seed_array = None  # a stream's seed is one integer

    @classmethod
    def _create_rng(cls):
        rg = np.random.Generator(cls.kind(12345))
        return smoke.RNGData(cls.kind, 2**63 + 2**31 + 2**15 + 1, [12345], rg, 64)

    @classmethod
    def setup_class(cls):  # NumPy before 2.4 keeps these in the class
        cls.bit_generator, cls.advance, cls.seed, cls.seed_vector_bits = cls.kind, 2**63 + 2**31 + 1, [12345], 64
        cls.rg = np.random.Generator(cls.kind(12345))
        cls.initial_state = cls.rg.bit_generator.state
        if hasattr(cls, "_extra_setup"):
            cls._extra_setup()


class TestSmokePhilox(Smoke):
    pass


class TestSmokeARS5(Smoke):
    kind = ARS5BitGenerator


class Direct(direct.Base):
    kind, name = BitGenerator, "philox"

    @classmethod
    def setup_class(cls):
        cls.bit_generator, cls.bits, cls.dtype, cls.seed_error_type = cls.kind, 64, np.uint64, TypeError
        cls.invalid_init_types = [(3.2,), ([None],), ("1",), (1, None)]
        cls.invalid_init_values = [(-1,), (2**64,)]
        # The specification's numbers, in place of NumPy's files for its own algorithms.
        cls.data1, cls.data2 = (
            {
                "seed": [seed],
                "data": np.array([reference.word64(cls.name, seed, 0, 2 * n) for n in range(1000)], np.uint64),
            }
            for seed in (0, 0xDEADBEAF00000001)
        )

    def test_pickle_preserves_seed_sequence(self):  # without the pool, which only NumPy's SeedSequence has
        bit_generator = self.bit_generator(*self.data1["seed"])
        for spawned in (0, 10):
            bit_generator.seed_seq.spawn(spawned)
            again = pickle.loads(pickle.dumps(bit_generator))
            assert again.seed_seq.state == bit_generator.seed_seq.state
            assert again.seed_seq.n_children_spawned == spawned

    def test_getstate(self):  # the seed sequence is not NumPy's SeedSequence
        bit_generator = self.bit_generator(*self.data1["seed"])
        if isinstance(bit_generator.__getstate__(), dict):
            pytest.skip("NumPy before 2.0 has the state alone there")
        state, seed_seq = bit_generator.__getstate__()
        assert state == bit_generator.state
        assert seed_seq is bit_generator.seed_seq

    def test_advance_symmetry(self):  # as in NumPy for PCG64, with our period
        rs = np.random.Generator(self.bit_generator(*self.data1["seed"]))
        state, step = rs.bit_generator.state, -0x9E3779B97F4A7C150000000000000000
        values = []
        for delta in (step, 2**128 + step, 10 * 2**128 + step):
            rs.bit_generator.state = state
            rs.bit_generator.advance(delta)
            values.append(rs.integers(10**9))
        assert len(set(values)) == 1


class TestDirectPhilox(Direct):
    pass


class TestDirectARS5(Direct):
    kind, name = ARS5BitGenerator, "ars5"


# The tests of Generator that hold for any bit generator; the others compare with MT19937's numbers.

endpoint = generator.endpoint  # NumPy's fixtures
if hasattr(smoke, "dtype"):  # NumPy before 2.4
    dtype = smoke.dtype


@pytest.fixture(params=[BitGenerator, ARS5BitGenerator], ids=["philox", "ars5"])
def kind(request, monkeypatch):
    for module in (generator, regressions):
        monkeypatch.setattr(module, "MT19937", request.param)
    monkeypatch.setattr(generator, "random", np.random.Generator(request.param(1)))
    return request.param


@pytest.mark.usefixtures("kind")
class TestThread(generator.TestThread):
    pass


@pytest.mark.usefixtures("kind")
class TestSingleEltArrayInput(generator.TestSingleEltArrayInput):
    pass


class TestIntegers(generator.TestIntegers):
    test_repeatability = test_repeatability_32bit_boundary = None
    test_repeatability_32bit_boundary_broadcasting = test_repeatability_broadcasting = None

    @pytest.fixture(autouse=True)
    def rfunc_of_kind(self, kind, monkeypatch):
        monkeypatch.setattr(type(self), "rfunc", np.random.Generator(kind(1)).integers)


class TestRegression(regressions.TestRegression):
    test_shuffle_mixed_dimension = test_call_within_randomstate = test_permutation_subclass = None

    @pytest.fixture(autouse=True)
    def seed_of_64_bits(self, kind):
        self.mt19937 = np.random.Generator(kind(121263137472525314065 % 2**64))

    def _create_generator(self):  # NumPy before 2.4 has the attribute
        return self.mt19937
