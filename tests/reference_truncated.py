"""The contract's truncated normals in plain Python, written like reference.py.

Constants are computed in float64, in the order of src_c/distribution.c, since their bits are part of the contract.
"""

import math
from fractions import Fraction

import numpy as np
import reference
from reference import bits, bounds, fma, greatest, horner, least, minus_two_log, quantile32, quantile64, real, rounded

F32, F64 = np.float32, np.float64
INF = math.inf


def exp(x):
    k = int(x * F64(float.fromhex("0x1.71547652b82fep+0")) - 0.5)
    high, low = (F64(float.fromhex(c)) for c in ("0x1.62e42fefa39efp-1", "0x1.abc9e3b39803fp-56"))
    r = fma(F64(-k), low, fma(F64(-k), high, x))
    return horner(r, [1 / math.factorial(n) for n in range(14)]) * F64(2.0**k)


def density(x):
    square = x * x
    rest = fma(x, x, -square)
    return F64(0) if abs(x) > 37 else exp(-square / 2) * (1 - rest / 2) * F64(float.fromhex("0x1.9884533d43651p-2"))


def mills(x):
    return horner((x - 4) / (x + 4), MILLS) / (1 + x)


def tail(x):
    return F64(0) if x > 37 else density(x) * mills(x)


def centre(x):
    if x > 1:
        return 0.5 - tail(x)
    term = total = x
    for n in range(3, 40, 2):
        term = term * (x * x / n)
        total = total + term
    return density(x) * total


def below(x):
    return tail(-x)


def between(a, b):
    if a >= 0:
        return tail(a) - tail(b)
    return below(b) - below(a) if b <= 0 else centre(-a) + centre(b)


def place(mean, std, z, kind):
    """mean + std z in two parts."""
    product = std * z
    total = product + mean
    added = total - mean
    lost = (product - added) + (mean - (total - added)) + fma(std, z, -product)
    high = F64(kind(total))
    return high, total - high + lost


def truncated_normal_of(dtype, mean=0.0, std=1.0, lower=-2.0, upper=2.0):
    kind = real(dtype)
    mean, std, lower, upper = (F64(x) for x in (kind(mean), kind(std), lower, upper))
    if (lower == -INF and upper == INF) or std == 0:
        return reference.normal_icdf_of(dtype, mean, std)
    low, high = fma(std, lower, mean), fma(std, upper, mean)
    first, last = bounds(low, high, kind(fma(std, lower / 2 + upper / 2, mean)), dtype)
    mirrored = lower >= 0
    a, b = (-upper, -lower) if mirrored else (lower, upper)
    size = 64 if dtype == "float64" else 32
    if (b <= 0 and (b - a) * (1 - a) <= (2.0**-8 if size == 64 else 2.0**-3)) or b - a < 2.0**-90:
        sample = narrow(kind, size, mean, std, lower, upper)
    elif size == 32 and b <= -0.5:
        sample = one_tail(mean, std if mirrored else -std, a, b, mirrored)
    else:
        sample = common(kind, size, mean, -std if mirrored else std, a, b, mirrored)
    take = reference.word64 if size == 64 else reference.word
    return lambda *where: bits(least(greatest(sample(take(*where)), first), last), dtype)


def narrow(kind, size, mean, std, a, b):
    h = b - a
    m = a + h / 2
    m2 = m * m
    width = h * (1 + h * h / 24 * ((m2 - 1) + h * h / 80 * ((m2 - 6) * m2 + 3)))
    excess = -h * m / 8 * (1 + h * h / 48 * (m2 - 3)) * (h / width)
    step = F64(2.0**-size)
    half_step = excess + step / 2
    s0 = std * width
    series = [
        s0,
        s0 * width * (m / 2),
        s0 * width * width * ((2 * m2 + 1) / 6),
        s0 * width * width * width * (m * (6 * m2 + 7) / 24),
        s0 * width * width * width * width * (((24 * m2 + 46) * m2 + 7) / 120),
    ]
    high, low = place(mean, std, m, kind)
    high, low, step, half_step, *series = map(kind, (high, low, step, half_step, *series))

    def sample(w):
        x = fma(rounded(Fraction(w - 2 ** (size - 1)), kind), step, half_step)
        return fma(horner(x, series), x, low) + high

    return sample


def one_tail(mean, std, a, b, flipped):
    near = below(b)
    ratio = below(a) / near
    step = (1 - ratio) * F64(2.0**-32)
    first = ratio + step / 2
    log_near = b * b + F64(float.fromhex("0x1.d67f1c864beb5p+0")) + minus_two_log(mills(-b))
    octaves = tail_octaves(near, log_near, first)
    high, low = place(mean, std, -b, F32)
    high, low, std, step, first = map(F32, (high, low, std, step, first))

    def sample(w):
        r = fma(rounded(Fraction(2**32 - 1 - w if flipped else w), F32), step, first)
        s = np.sqrt(greatest(least(r, F32(1 - 2.0**-24)), F32(2.0**-32)))
        mantissa, exponent = math.frexp(float(s))
        distance = horner(F32(2 - 2 * mantissa), octaves[exponent - 1])
        return fma(distance, std, low) + high

    return sample


def tail_octaves(near, log_near, least_r):
    """The polynomials of the octaves of s = sqrt(r), by exponent."""

    def z(log, p):
        return quantile64(log, 1 - 2 * p)

    found, octave, bound = {}, F64(1), z(log_near, near)
    for e in range(-1, -17, -1):
        if not octave > least_r:
            break
        c = []
        for d, log in zip(NODES, LOGS, strict=True):
            s = 1 - d / 2
            c.append(z(log_near + (log - (e + 1) * FOUR_LN_2), near * (s * s * octave)) - bound)
        for k in range(1, 9):
            for i in range(8, k - 1, -1):
                c[i] = (c[i] - c[i - 1]) / (NODES[i] - NODES[i - k])
        for k in range(7, -1, -1):
            for i in range(k, 8):
                c[i] = c[i] - NODES[k] * c[i + 1]
        found[e] = [F32(x) for x in c]
        while e < -1:
            upper = found[e + 1]
            end = horner(F32(1), upper)
            if end <= found[e][0]:
                break
            upper[-1] = upper[-1] - (end - found[e][0])
        octave = octave / 4
    return found


def common(kind, size, mean, std, a, b, flipped):
    words, mass = F64(2.0**size), between(a, b)
    step = 2 * mass / words
    end_below = 2 * below(a if a < 0 else F64(0)) + step / 2
    end_above = median_above = F64(0)
    if b <= 0:
        count, median_below = 2**size, 2 * centre(-b) + step / 2
    else:
        crossing = centre(-a) / mass * words
        whole = crossing + 0.5 >= words
        count = 2**size if whole else 1 if crossing < 1 else int(crossing + 0.5)
        past = (words if whole else F64(count)) - crossing
        end_above = 2 * tail(b) + step / 2
        median_below, median_above = step * (0.5 - past), step * (0.5 + past)
    mean, std, step, *ends = map(kind, (mean, std, step, end_below, end_above, median_below, median_above))
    end_below, end_above, median_below, median_above = ends

    def sample(w):
        w = 2**size - 1 - w if flipped else w
        under = w < count
        from_end = w if under else 2**size - 1 - w
        from_median = count - 1 - w if under else w - count
        v = fma(rounded(Fraction(from_end), kind), step, end_below if under else end_above)
        t = fma(rounded(Fraction(from_median), kind), step, median_below if under else median_above)
        z = quantile32(greatest(v, F32(2.0**-32)), t) if size == 32 else quantile64(minus_two_log(v * 0.5), t)
        return fma(-z if under else z, std, mean)

    return sample


def _hex(text):
    return [F64(float.fromhex(c)) for c in text.split()]


FOUR_LN_2 = F64(float.fromhex("0x1.62e42fefa39efp+1"))
NODES = _hex(
    "0x0p+0 0x1.37ca1866b95cfp-5 0x1.2bec333018867p-3 0x1.3c10eaca8ab4fp-2 0x1p-1 0x1.61f78a9abaa59p-1"
    " 0x1.b504f333f9de6p-1 0x1.ec835e79946a3p-1 0x1p+0"
)
LOGS = _hex(
    "0x0p+0 0x1.3acb581418286p-4 0x1.37787a9e5650dp-2 0x1.574bcd989a128p-1 0x1.269621134db92p+0 0x1.b253024ae8624p+0"
    " 0x1.1ceaefdbc7723p+1 0x1.4fc426003d9e2p+1 0x1.62e42fefa39efp+1"
)
MILLS = _hex(
    "0x1.2eea40b9abcabp+0 -0x1.f06f3d0b9e635p-3 0x1.1f7901bed4285p-5 0x1.25a4eb031bfdap-4 -0x1.4a947b618e13dp-4"
    " 0x1.704e20a1b44ebp-5 -0x1.9ae19ffb03496p-7 -0x1.775d4f00c5d4ap-11 0x1.c89d7d967e977p-10 -0x1.f0662356fb582p-13"
    " -0x1.cdd339d49d18bp-13 0x1.bed2fe7fe5eeap-15 0x1.1e896a0ce613ep-15 -0x1.20a14b8149d32p-17"
    " -0x1.b7962f90a7b55p-18 0x1.0f3e28657fa95p-20 0x1.73a7d0a174b1dp-20 0x1.3cdd5570c4e18p-27 -0x1.2ada665d5523ap-22"
    " -0x1.dd69434aa5869p-25 0x1.73462ed03c188p-25 0x1.4629676c89ceap-26 -0x1.77802f910c041p-29"
    " -0x1.85c959b9d7051p-29 -0x1.bd27cd904def6p-32"
)

reference.SAMPLERS["truncated_normal"] = truncated_normal_of
