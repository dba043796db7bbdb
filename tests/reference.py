"""The stream contract in plain Python: slow, short, and written from the papers rather than from src_c/.

Floating-point operations are exact rationals rounded once, as IEEE 754 requires.
"""

import math
from fractions import Fraction

import numpy as np
from reference_tables import COS, LOG32, LOG64, QUANTILE32, QUANTILE64, SIN, SQRT2

MASK32, MASK64 = 2**32 - 1, 2**64 - 1


def philox4x32(counter, key, rounds=10):
    """Philox4x32 (Salmon et al. 2011): four words from a counter of four words and a key of two."""
    c, (k0, k1) = list(counter), key
    for _ in range(rounds):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [p1 >> 32 ^ c[1] ^ k0, p1 & MASK32, p0 >> 32 ^ c[3] ^ k1, p0 & MASK32]
        k0, k1 = k0 + 0x9E3779B9 & MASK32, k1 + 0xBB67AE85 & MASK32
    return c


def _times(a, b):
    """Product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1 (FIPS 197, section 4.2)."""
    product = 0
    while b:
        product ^= a * (b & 1)
        a = a << 1 ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return product


def _sbox(byte):
    """FIPS 197, section 5.1.1: the inverse, then the affine map."""
    b = next((x for x in range(256) if _times(byte, x) == 1), 0)
    rotated = [b << i & 0xFF | b >> 8 - i for i in range(5)]
    return rotated[0] ^ rotated[1] ^ rotated[2] ^ rotated[3] ^ rotated[4] ^ 0x63


SBOX = [_sbox(byte) for byte in range(256)]


def aes_round(state, key, last):
    """One AES round on 16 bytes: SubBytes, ShiftRows, MixColumns unless it is the last, AddRoundKey."""
    s = [SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]
    if not last:
        s = [
            _times(s[i], 2) ^ _times(s[j + (i + 1) % 4], 3) ^ s[j + (i + 2) % 4] ^ s[j + (i + 3) % 4]
            for i in range(16)
            for j in (i - i % 4,)
        ]
    return bytes(a ^ b for a, b in zip(s, key, strict=True))


def ars4x32(counter, key, rounds):
    """ARS4x32 (Salmon et al. 2011): AES rounds whose keys are a Weyl sequence."""
    low, high = key[0] | key[1] << 32, key[2] | key[3] << 32
    state = b"".join(word.to_bytes(4, "little") for word in counter)
    state = bytes(a ^ b for a, b in zip(state, _bytes64(low, high), strict=True))
    for i in range(1, rounds + 1):
        low, high = low + 0x9E3779B97F4A7C15 & MASK64, high + 0xBB67AE8584CAA73B & MASK64
        state = aes_round(state, _bytes64(low, high), last=i == rounds)
    return [int.from_bytes(state[i : i + 4], "little") for i in range(0, 16, 4)]


def _bytes64(low, high):
    return low.to_bytes(8, "little") + high.to_bytes(8, "little")


GENERATORS = {
    "philox": philox4x32,
    "ars5": lambda counter, key: ars4x32(counter, (*key, 0, 0), rounds=5),
    "ars7": lambda counter, key: ars4x32(counter, (*key, 0, 0), rounds=7),
}


def word(generator, seed, id, position):
    """Word number `position` of a stream."""
    block = position // 4
    counter = block & MASK32, block >> 32, id & MASK32, id >> 32
    key = seed & MASK32, seed >> 32
    return GENERATORS[generator](counter, key)[position % 4]


def word64(generator, seed, id, position):
    """The two words from an even position on, as one number, low word first."""
    return word(generator, seed, id, position) | word(generator, seed, id, position + 1) << 32


def rounded(exact, dtype):
    """The number of `dtype` nearest to a rational, ties to even."""
    if abs(exact) >= 2**1024 - 2**970:
        return dtype(math.inf if exact > 0 else -math.inf)
    if dtype is np.float64:
        return np.float64(exact.numerator / exact.denominator)  # Python's int division rounds correctly
    double = exact.numerator / exact.denominator
    # Rounding to 53 bits and then to 24 could round twice; to odd and then to 24 cannot (Boldo, Melquiond 2005).
    if Fraction(double) != exact and not int(np.float64(double).view(np.uint64)) & 1:
        double = math.nextafter(double, math.inf if exact > Fraction(double) else -math.inf)
    return np.float32(double)


def fma(a, b, c):
    """a * b + c, rounded once."""
    if not (math.isfinite(a) and math.isfinite(b) and math.isfinite(c)):
        return a * b + c
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    if exact == 0:  # rationals have no -0
        return a * b + c
    return rounded(exact, type(c))


def horner(x, coefficients):
    y = type(x)(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        y = fma(y, x, type(x)(c))
    return y


# For each type: significant bits, exponent of the least subnormal number, largest number, and overflow as bits.
TYPES = {
    "float32": (24, -149, float.fromhex("0x1.fffffep127"), 0x7F800000),
    "float64": (53, -1074, float.fromhex("0x1.fffffffffffffp1023"), 0x7FF << 52),
    "float16": (11, -24, 65504.0, 0x7C00),
    "bfloat16": (8, -133, float.fromhex("0x1.fep127"), 0x7F80),
    "float8_e4m3fn": (4, -9, 448.0, 0x7F),  # nan
    "float8_e5m2": (3, -16, 57344.0, 0x7C),
}


def real(dtype):
    """The type in which the samples of a type are computed."""
    return np.float64 if dtype == "float64" else np.float32


def bits(x, dtype):
    """The bits of the number of a type that is nearest to x, ties to even."""
    digits, least, largest, overflow = TYPES[dtype]
    sign = (math.copysign(1, x) < 0) << overflow.bit_length()  # the highest bit
    exponent = max(math.frexp(x)[1] - digits, least) if x else least  # the exponent of the last bit
    if math.isinf(x):
        return sign | overflow
    units = round(Fraction(abs(float(x))) / Fraction(2) ** exponent)  # ties to even
    if units * Fraction(2) ** exponent > Fraction(largest):
        return sign | overflow
    # Counting from 0, every octave adds 2^(digits - 1) numbers; the subnormals come first.
    return sign | (units + (exponent - least) * 2 ** (digits - 1))


def outermost(x, dtype, up):
    """The type's least number not below x, or its largest not above x; x itself for float64."""
    digits, least, largest, _ = TYPES[dtype]
    if dtype == "float64" or math.isinf(x):
        return x
    if abs(x) > largest:
        return math.copysign(math.inf if up == (x > 0) else largest, x)
    unit = Fraction(2) ** (max(math.frexp(x)[1] - digits, least) if x else least)
    units = Fraction(x) / unit
    return float((math.ceil(units) if up else math.floor(units)) * unit) + 0.0  # there is no -0


def bounds(low, high, inside, dtype):
    """The outermost samples between two bounds; `inside` twice if there is no number of the type."""
    first, last = outermost(float(low), dtype, True), outermost(float(high), dtype, False)
    if first > last:
        first = last = inside
    return real(dtype)(first), real(dtype)(last)


def least(x, limit):
    return x if x < limit else limit


def greatest(x, limit):
    return x if x > limit else limit


def claim(position, sampler, dtype, count):
    """The start of a fill requested at a position, and the stream's position after it."""
    words = 2 if dtype == "float64" else 1
    group = words * (2 if sampler == "normal" else 1)
    if not count or sampler == "constant":
        return position, position
    begin = -(-position // group) * group
    return begin, begin + -(-count * words // group) * group


def fill(generator, seed, id, position, sampler, parameters, dtype, count):
    """The samples of a fill, as the bits of their type."""
    begin, _ = claim(position, sampler, dtype, count)
    words = 2 if dtype == "float64" else 1
    draw = SAMPLERS[sampler](dtype, *parameters)
    return [draw(generator, seed, id, begin + i * words) for i in range(count)]


def uniform_of(dtype, low=0.0, high=1.0):
    kind = real(dtype)
    low, high = kind(low), kind(high)
    scale = high - low
    below = math.nextafter(float(high), -math.inf)
    middle = kind(float(low) + (float(high) - float(low)) / 2)
    first, last = bounds(low, below, middle, dtype) if low < high else (low, low)

    def draw(*where):
        if dtype == "float64":
            u = np.float64(word64(*where) >> 11) * np.float64(2.0**-53)
        else:
            u = np.float32(word(*where) >> 8) * np.float32(2.0**-24)
        x = least(fma(u, scale, low), last)
        return bits(x if dtype in ("float32", "float64") else greatest(x, first), dtype)

    return draw


def bits_of(dtype):
    return word


def constant_of(dtype, value):
    return lambda *where: bits(real(dtype)(value), dtype)


def normal_of(dtype, mean=0.0, std=1.0):
    return lambda *where: bits(normal(*where, real(dtype), mean, std), dtype)


def normal_icdf_of(dtype, mean=0.0, std=1.0):
    return lambda *where: bits(normal_icdf(*where, real(dtype), mean, std), dtype)


def normal(generator, seed, id, position, dtype, mean=0.0, std=1.0):
    """The Box-Muller sample whose words begin at `position`."""
    size = 1 if dtype is np.float32 else 2
    first = position - position % (2 * size)
    take = word if dtype is np.float32 else word64
    even, odd = (take(generator, seed, id, p) for p in (first, first + size))
    bits = 32 * size
    u = fma(rounded(Fraction(even), dtype), dtype(2.0**-bits), dtype(2.0 ** -(bits + 1)))
    radius = np.sqrt(minus_two_log(u))
    # The angle in half turns, reduced to [-1/2, 1/2); the lost half turn is a sign.
    turns = 2 * odd & 2**bits - 1
    signed = turns - 2**bits if turns >> bits - 1 else turns
    x = rounded(Fraction(signed), dtype) * dtype(2.0**-bits)
    if (odd >> bits - 1 ^ odd >> bits - 2) & 1:
        radius = -radius
    component = horner(x * x, COS[dtype]) if position == first else x * horner(x * x, SIN[dtype])
    return fma(radius * dtype(std), component, dtype(mean))


def normal_icdf(generator, seed, id, position, dtype, mean=0.0, std=1.0):
    """The sample by the inverse CDF whose words begin at `position`."""
    single = dtype is np.float32
    bits = 32 if single else 64
    w = (word if single else word64)(generator, seed, id, position)
    below = w >> bits - 1 == 0
    from_median = 2 ** (bits - 1) - 1 - w if below else w - 2 ** (bits - 1)
    from_end = 2 ** (bits - 1) - 1 - from_median
    t = fma(rounded(Fraction(from_median), dtype), dtype(2.0 ** (1 - bits)), dtype(2.0**-bits))
    if single:
        z = quantile32(fma(rounded(Fraction(from_end), dtype), dtype(2.0**-31), dtype(2.0**-32)), t)
    else:
        p = fma(rounded(Fraction(from_end), dtype), dtype(2.0**-64), dtype(2.0**-65))
        z = quantile64(minus_two_log(p), t)
    return fma(-z if below else z, dtype(std), dtype(mean))


def quantile32(v, t):
    """z >= 0 with 2 P(Z > z) = v, and t = 1 - v."""
    s = np.sqrt(min(v, np.float32(1 - 2.0**-24)))
    mantissa, exponent = math.frexp(float(s))  # 2 mantissa is in [1, 2)
    column = [row[exponent - 1 + 127 & 15] for row in QUANTILE32]
    if s >= 0.5:
        return horner(t * t, column) * t
    return horner(np.float32(2 - 2 * mantissa), column)


def quantile64(log, t):
    """z >= 0 with P(Z > z) = exp(-log / 2), and t = 1 - 2 P(Z > z)."""
    r, q = np.sqrt(log * 0.5), t * 0.5
    if t < 0.85:
        x, above, below = 0.180625 - q * q, *QUANTILE64["centre"]
        return q * horner(x, above) / horner(x, below)
    x, (above, below) = (r - 5.0, QUANTILE64["far"]) if r >= 5 else (r - 1.6, QUANTILE64["tail"])
    return horner(x, above) / horner(x, below)


def minus_two_log(u):
    """-2 ln u as the contract computes it."""
    dtype = type(u)
    mantissa, exponent = math.frexp(float(u))
    mantissa, exponent = mantissa * 2, exponent - 1
    if mantissa >= float(SQRT2[dtype]):
        mantissa, exponent = mantissa / 2, exponent + 1
    f = dtype(mantissa) - dtype(1)
    if dtype is np.float32:
        return fma(np.float32(exponent), np.float32(float.fromhex("-0x1.62e43p+0")), f * horner(f, LOG32))
    s = f / (f + 2.0)
    z = s * s
    log1p = fma(s + s, fma(-z, horner(z, LOG64), f), -(f + f))
    low = fma(np.float64(exponent), np.float64(float.fromhex("0x1.8432a1b0e2634p-42")), log1p)
    return fma(np.float64(exponent), np.float64(float.fromhex("-0x1.62e42fefa4p+0")), low)


SAMPLERS = {
    "bits": bits_of,
    "uniform": uniform_of,
    "normal": normal_of,
    "normal_icdf": normal_icdf_of,
    "constant": constant_of,
}
