"""The stream contract in plain Python: slow, short, and written from the papers rather than from src_c/.

Floating-point operations are exact rationals rounded once, which is what IEEE 754 asks of each of them.
"""

import math
from fractions import Fraction

import numpy as np

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
    """The two words from an even position on as one number, low word first."""
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
    if exact == 0:  # a rational has no -0
        return a * b + c
    return rounded(exact, type(c))


def horner(x, coefficients):
    y = type(x)(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        y = fma(y, x, type(x)(c))
    return y


# Of each type: significant bits, exponent of the least subnormal number, largest number, and overflow as bits.
TYPES = {
    "float32": (24, -149, float.fromhex("0x1.fffffep127"), 0x7F800000),
    "float64": (53, -1074, float.fromhex("0x1.fffffffffffffp1023"), 0x7FF << 52),
    "float16": (11, -24, 65504.0, 0x7C00),
    "bfloat16": (8, -133, float.fromhex("0x1.fep127"), 0x7F80),
    "float8_e4m3fn": (4, -9, 448.0, 0x7F),  # nan
    "float8_e5m2": (3, -16, 57344.0, 0x7C),
}


def real(dtype):
    """In what the samples of a type are computed."""
    return np.float64 if dtype == "float64" else np.float32


def bits(x, dtype):
    """The bits of the number of a type that is nearest to x, ties to even."""
    digits, least, largest, overflow = TYPES[dtype]
    sign = (math.copysign(1, x) < 0) << overflow.bit_length()  # the highest bit
    exponent = max(math.frexp(x)[1] - digits, least) if x else least  # of the last bit
    if math.isinf(x):
        return sign | overflow
    units = round(Fraction(abs(float(x))) / Fraction(2) ** exponent)  # which takes ties to even
    if units * Fraction(2) ** exponent > Fraction(largest):
        return sign | overflow
    # Counted from 0, every octave has 2^(digits - 1) numbers more, and the subnormals are the first of them.
    return sign | (units + (exponent - least) * 2 ** (digits - 1))


def outermost(x, dtype, up):
    """The least number of a type that is not below x, or the largest that is not above; for float64 x itself."""
    digits, least, largest, _ = TYPES[dtype]
    if dtype == "float64" or math.isinf(x):
        return x
    if abs(x) > largest:
        return math.copysign(math.inf if up == (x > 0) else largest, x)
    unit = Fraction(2) ** (max(math.frexp(x)[1] - digits, least) if x else least)
    units = Fraction(x) / unit
    return float((math.ceil(units) if up else math.floor(units)) * unit) + 0.0  # there is no -0


def bounds(low, high, inside, dtype):
    """The outermost samples between two bounds; `inside` twice where no number of the type is there."""
    first, last = outermost(float(low), dtype, True), outermost(float(high), dtype, False)
    if first > last:
        first = last = inside
    return real(dtype)(first), real(dtype)(last)


def least(x, limit):
    return x if x < limit else limit


def greatest(x, limit):
    return x if x > limit else limit


def claim(position, sampler, dtype, count):
    """Where a fill begins that is asked for at a position, and where it leaves the stream."""
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
    # The angle in half turns, reduced to [-1/2, 1/2); the half turn that goes missing is a sign.
    turns = 2 * odd & 2**bits - 1
    signed = turns - 2**bits if turns >> bits - 1 else turns
    x = rounded(Fraction(signed), dtype) * dtype(2.0**-bits)
    if (odd >> bits - 1 ^ odd >> bits - 2) & 1:
        radius = -radius
    component = horner(x * x, COS[dtype]) if position == first else x * horner(x * x, SIN[dtype])
    return fma(radius * dtype(std), component, dtype(mean))


def normal_icdf(generator, seed, id, position, dtype, mean=0.0, std=1.0):
    """The sample of the inverse distribution function whose words begin at `position`."""
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
    mantissa, exponent = math.frexp(float(s))  # of which 2 mantissa is in [1, 2)
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


def _hex(text):
    return [float.fromhex(c) for c in text.split()]


def _decimal(text):
    return [float(c) for c in text.split()]


SQRT2 = {np.float32: np.uint32(0x3FB504F3).view(np.float32), np.float64: np.uint64(0x3FF6A09E667F3BCD).view(np.float64)}
LOG32 = _hex(
    "-0x1.fffffep+0 0x1.00007ap+0 -0x1.5559f6p-1 0x1.ff62bap-2 -0x1.9789ecp-2 0x1.6142b2p-2 -0x1.4c565p-2 0x1.9e6b62p-3"
)
LOG64 = _hex(
    "0x1.5555555555555p-1 0x1.999999999a266p-2 0x1.249249235e7a1p-2 0x1.c71c73c35b0c4p-3 0x1.745c4d36cf45ap-3"
    " 0x1.3b3dd7da3affap-3 0x1.0c7b6b7552afdp-3 0x1.2bd0bdfb51b85p-3"
)
COS = {
    np.float32: _hex("0x1p+0 -0x1.3bd3bp+2 0x1.03bd9ep+2 -0x1.5502d2p+0 0x1.c2a53p-3"),
    np.float64: _hex(
        "0x1p+0 -0x1.3bd3cc9be45dcp+2 0x1.03c1f081b599ap+2 -0x1.55d3c7e3bf6a4p+0 0x1.e1f50680df88ep-3"
        " -0x1.a6d1efa67621ep-6 0x1.f9d247b43aa5cp-10 -0x1.b69332fa4a00dp-14 0x1.164f919e5bcc4p-18"
    ),
}
SIN = {
    np.float32: _hex("0x1.921fb6p+1 -0x1.4abbeep+2 0x1.466ee4p+1 -0x1.32e03cp-1 0x1.466de4p-4"),
    np.float64: _hex(
        "0x1.921fb54442d18p+1 -0x1.4abbce625be10p+2 0x1.466bc677580b9p+1 -0x1.32d2cce4e4297p-1 0x1.507833ea7a959p-4"
        " -0x1.e306fd2bc37e5p-8 0x1.e8dbf68fc47c2p-12 -0x1.6bee105558de7p-16 0x1.2d3a8d9c75f50p-21"
    ),
}

# The powers of x in turn; in each line by the low four bits of the exponent of s, of which 14 are the median.
QUANTILE32 = [
    _hex(
        "0x1.795744p+2 0x1.6a69a4p+2 0x1.5ae102p+2 0x1.4aa938p+2 0x1.39a966p+2 0x1.27c24p+2 0x1.14cb7ap+2"
        " 0x1.008fbap+2 0x1.d58bdp+1 0x1.a60a6ep+1 0x1.715c7cp+1 0x1.357294p+1 0x1.dcdcp+0 0x1.267d4cp+0"
        " 0x1.40d932p+0 0x1.87ba78p+2"
    ),
    _hex(
        "0x1.521ed4p-3 0x1.5f4d7ep-3 0x1.6e206ep-3 0x1.7ef5bp-3 0x1.924b6ap-3 0x1.a8cf5ep-3 0x1.c3788ep-3"
        " 0x1.e3b416p-3 0x1.05dc32p-2 0x1.1f966ap-2 0x1.42503ep-2 0x1.74a96p-2 0x1.c6a994p-2 0x1.36e654p-1"
        " 0x1.4ffac6p-2 0x1.464cb4p-3"
    ),
    _hex(
        "0x1.40676p-5 0x1.4b71c6p-5 0x1.57aadep-5 0x1.654a8p-5 0x1.74972p-5 0x1.85ea8ep-5 0x1.99b802p-5"
        " 0x1.b0930cp-5 0x1.cb3408p-5 0x1.ea6af8p-5 0x1.076054p-4 0x1.1b4808p-4 0x1.299c2ap-4 0x1.ee296ap-5"
        " 0x1.72866cp-3 0x1.365efp-5"
    ),
    _hex(
        "0x1.96d468p-7 0x1.a43832p-7 0x1.b2f9a2p-7 0x1.c35622p-7 0x1.d59a92p-7 0x1.ea283ep-7 0x1.00bddcp-6"
        " 0x1.0e1b0ep-6 0x1.1d94bcp-6 0x1.2fb4ap-6 0x1.45332ap-6 0x1.5f356p-6 0x1.81dd08p-6 0x1.e4626cp-6"
        " 0x1.d04ep-4 0x1.8a9ca8p-7"
    ),
    _hex(
        "0x1.9286b6p-8 0x1.9ef39ap-8 0x1.ac9028p-8 0x1.bb8e1ep-8 0x1.cc2adcp-8 0x1.deb2ccp-8 0x1.f385f2p-8"
        " 0x1.058ef4p-7 0x1.130a92p-7 0x1.229756p-7 0x1.34acacp-7 0x1.49ca94p-7 0x1.61c5d4p-7 0x1.6451e6p-7"
        " 0x1.58c768p-3 0x1.8720c2p-8"
    ),
    _hex(
        "-0x1.fb2918p-10 -0x1.03f61p-9 -0x1.0ace32p-9 -0x1.12298cp-9 -0x1.1a15bp-9 -0x1.22a08cp-9 -0x1.2bd6fep-9"
        " -0x1.35c1a6p-9 -0x1.405db2p-9 -0x1.4b8c22p-9 -0x1.56e73ap-9 -0x1.6146bep-9 -0x1.66d686p-9 -0x1.43a1fp-9"
        " -0x1.20a02p-2 -0x1.ef3c7p-10"
    ),
    _hex(
        "0x1.a4a7fp-8 0x1.b0a566p-8 0x1.bdaeb8p-8 0x1.cbeb5ep-8 0x1.db8adap-8 0x1.ecc6ap-8 0x1.ffe456p-8"
        " 0x1.0a9c14p-7 0x1.16932ap-7 0x1.241074p-7 0x1.334c32p-7 0x1.445ed2p-7 0x1.56c0c2p-7 0x1.65645ep-7"
        " 0x1.fb8306p-1 0x1.999558p-8"
    ),
    _hex(
        "-0x1.1657bap-8 -0x1.1e354ap-8 -0x1.26c0fap-8 -0x1.301438p-8 -0x1.3a4d8ep-8 -0x1.4591e4p-8 -0x1.520dep-8"
        " -0x1.5ff774p-8 -0x1.6f8ed6p-8 -0x1.811d4ep-8 -0x1.94ebf4p-8 -0x1.ab1df8p-8 -0x1.c3142cp-8 -0x1.d78d62p-8"
        " -0x1.4383p+0 -0x1.0f1302p-8"
    ),
    _hex(
        "0x1.d82076p-10 0x1.e5aa76p-10 0x1.f46612p-10 0x1.02409ap-9 0x1.0b19c2p-9 0x1.14e078p-9 0x1.1fbe7ap-9"
        " 0x1.2be752p-9 0x1.399a84p-9 0x1.492558p-9 0x1.5ae14ap-9 0x1.6f2504p-9 0x1.85f9f6p-9 0x1.9d4996p-9"
        " 0x1.b98bf6p-1 0x1.cba1e6p-10"
    ),
]
# Wichura (1988), PPND16: numerator and denominator of the median, the tail and the far tail.
QUANTILE64 = {
    "centre": (
        _decimal(
            "3.3871328727963665 133.14166789178438 1971.5909503065513 13731.69376550946 45921.95393154987"
            " 67265.7709270087 33430.57558358813 2509.0809287301227"
        ),
        _decimal(
            "1.0 42.31333070160091 687.1870074920579 5394.196021424751 21213.794301586597 39307.89580009271"
            " 28729.085735721943 5226.495278852854"
        ),
    ),
    "tail": (
        _decimal(
            "1.4234371107496835 4.630337846156546 5.769497221460691 3.6478483247632045 1.2704582524523684"
            " 0.2417807251774506 0.022723844989269184 0.0007745450142783414"
        ),
        _decimal(
            "1.0 2.053191626637759 1.6763848301838038 0.6897673349851 0.14810397642748008 0.015198666563616457"
            " 0.0005475938084995345 1.0507500716444169e-09"
        ),
    ),
    "far": (
        _decimal(
            "6.657904643501103 5.463784911164114 1.7848265399172913 0.29656057182850487 0.026532189526576124"
            " 0.0012426609473880784 2.7115555687434876e-05 2.0103343992922881e-07"
        ),
        _decimal(
            "1.0 0.599832206555888 0.1369298809227358 0.014875361290850615 0.0007868691311456133"
            " 1.8463183175100548e-05 1.421511758316446e-07 2.0442631033899397e-15"
        ),
    ),
}

SAMPLERS = {
    "bits": bits_of,
    "uniform": uniform_of,
    "normal": normal_of,
    "normal_icdf": normal_icdf_of,
    "constant": constant_of,
}
