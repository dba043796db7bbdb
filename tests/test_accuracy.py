"""The errors that the core states, for each of its elementary functions and for whole samples."""

import math
import shutil
import subprocess

import mpmath
import numpy as np
import pytest
from conftest import COMPILER, ROOT, SANITIZERS, UNDER
from mpmath import mpf

from pyinit import Stream

FLAGS = ["-std=gnu11", "-O2", "-ffp-contract=off", "-fno-math-errno", f"-I{ROOT / 'src_c'}", *SANITIZERS]


@pytest.mark.c_program
@pytest.mark.skipif(not shutil.which(COMPILER), reason=f"no C compiler {COMPILER}")
def test_elementary_functions_keep_their_stated_errors(tmp_path):
    program = tmp_path / "accuracy"
    subprocess.run([COMPILER, *FLAGS, ROOT / "tests" / "accuracy.c", "-o", program, "-lm"], check=True)
    result = subprocess.run([*UNDER, program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.skipif(not shutil.which(COMPILER), reason=f"no C compiler {COMPILER}")
def test_the_vector_tier_rounds_a_product_and_a_sum_once(tmp_path):
    program = tmp_path / "vector_fma"
    sources = [ROOT / "tests" / name for name in ("vector_fma.c", "scalar_functions.c")]
    subprocess.run([COMPILER, *FLAGS, *sources, "-o", program, "-lm"], check=True)
    result = subprocess.run([program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="long double is no wider than double here")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normals_are_those_of_the_formula(generator, dtype):
    # box_muller.h states at most 6 ulp of the radius in either component; these words stay below 4.
    wide, n = np.longdouble, 400_000
    bits = 8 * dtype().itemsize
    words = Stream(17, generator).bits(n * bits // 32)
    words = words if bits == 32 else words[0::2].astype(np.uint64) | words[1::2].astype(np.uint64) << 32
    u = np.minimum(((words[0::2].astype(dtype).astype(wide) + 0.5) * wide(2) ** -bits).astype(dtype), 1).astype(wide)
    radius = np.sqrt(-2 * np.log(u))
    angle = 2 * wide("3.14159265358979323846264338327950288") * words[1::2].astype(wide) * wide(2) ** -bits
    z = Stream(17, generator).normal(n, dtype).astype(wide)
    ulp = np.spacing(radius.astype(dtype)).astype(wide)
    assert (abs(z[0::2] - radius * np.cos(angle)) / ulp).max() < 4
    assert (abs(z[1::2] - radius * np.sin(angle)) / ulp).max() < 4


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    if not shutil.which(COMPILER):
        pytest.skip(f"no C compiler {COMPILER}")
    program = tmp_path_factory.mktemp("quantile") / "quantile"
    subprocess.run([COMPILER, *FLAGS, ROOT / "tests" / "quantile.c", "-o", program, "-lm"], check=True)
    return lambda stride: subprocess.run([*UNDER, program, str(stride)], capture_output=True, text=True, check=False)


@pytest.mark.c_program
def test_some_quantiles_keep_their_error_and_their_order(walk):
    result = walk(64)
    assert result.returncode == 0, result.stdout


@pytest.mark.slow
def test_all_quantiles_keep_their_error_and_their_order(walk):
    result = walk(1)
    assert result.returncode == 0, result.stdout


def above(x):
    return mpmath.erfc(mpf(x) / mpmath.sqrt(2)) / 2


def density(x):
    return mpmath.npdf(mpf(x))


# The exact function, the ranges to test, and the largest error, in ulp or relative.
FUNCTIONS = {
    "exp_f64": (lambda x: mpmath.exp(mpf(x)), [(-708, 0), (-1, 0), (-1e-9, 0)], 1),
    "density": (density, [(0, 37), (0, 1), (-6, 6)], 4),
    "mills_ratio": (lambda x: above(x) / density(x), [(0, 40), (0, 2), (0, 1e-3)], 4),
    "tail": (above, [(0, 37), (0, 3), (0, 1e-3)], 2.0**-50),
    "centre": (lambda x: mpmath.erf(mpf(x) / mpmath.sqrt(2)) / 2, [(0, 37), (0, 1), (1, 2), (0, 1e-9)], 2.0**-50),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_functions_of_parameters_keep_their_stated_errors(core, name):
    exact, ranges, bound = FUNCTIONS[name]
    rng = np.random.default_rng(1)
    with mpmath.workdps(40):
        for low, high in ranges:
            for x in [low, high, *rng.uniform(low, high, 600)]:
                got, right = mpf(core.call(name, float(x))), exact(float(x))
                assert abs(got - right) <= bound * (math.ulp(float(right)) if bound >= 1 else right), x


def test_probabilities_between(core):
    """Far out, and across 0."""
    with mpmath.workdps(60):
        for a, b in ((-1, 2), (-1e-8, 1e-9), (-40, 40), (5, 6), (-12, -10), (30, 31), (0, 1e-3), (-math.inf, 3)):
            right = above(a) - above(b)
            # On one side of 0 it is a difference of tails.
            tails = 0 if a < 0 < b else above(min(abs(a), abs(b)))
            assert abs(core.call("between", float(a), float(b)) - right) <= 2.0**-49 * (right + tails), (a, b)


def test_no_probability_beyond_37(core):
    assert core.call("tail", math.inf) == core.call("tail", 37.1) == core.call("density", 37.1) == 0
    assert core.call("centre", math.inf) == 0.5


def test_double_quantiles_keep_their_error(core):
    """inverse_cdf.h: 16 ulp, at words at any distance from the ends and from the median."""
    rng = np.random.default_rng(2)
    distances = [0, 1, 2, *(int(2**e) for e in rng.uniform(0, 63, 400))]
    words = [w for d in distances for w in (d, 2**64 - 1 - d, 2**63 + d, 2**63 - 1 - d)]
    z, method = core.samples("normal_icdf", (0, 1), words, "float64")
    assert method == "icdf"
    assert abs(z).max() < 9.16
    assert (np.diff(z[np.argsort(np.array(words, np.uint64), kind="stable")]) >= -1e-15 * 9).all()
    worst = 0
    with mpmath.workdps(60):
        for word, x in zip(words, z, strict=True):
            # From this close, one step of Newton's method doubles the digits.
            miss = (
                (word + mpf(1) / 2) / 2**64 - mpmath.ncdf(mpf(x))
                if word < 2**63
                else (above(x) - (2**64 - word - mpf(1) / 2) / 2**64)
            )
            worst = max(worst, float(abs(miss / density(x)) / math.ulp(x)))
    assert worst <= 16
    assert worst > 0.5  # otherwise nothing was measured


def test_float_quantiles_are_below_6_34(core):
    z, _ = core.samples("normal_icdf", (0, 1), [0, 2**31 - 1, 2**31, 2**32 - 1])
    assert (z == -z[::-1]).all()
    assert 6.33 < z[3] < 6.34
    assert 0 < z[2] < 1e-9
