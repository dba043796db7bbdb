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


def ars4x32(counter, key, rounds=5):
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


def word(generator, seed, id, position):
    """Word number `position` of a stream."""
    block = position // 4
    counter = block & MASK32, block >> 32, id & MASK32, id >> 32
    key = seed & MASK32, seed >> 32
    block_words = philox4x32(counter, key) if generator == "philox" else ars4x32(counter, (*key, 0, 0))
    return block_words[position % 4]


def word64(generator, seed, id, position):
    """The two words from an even position on as one number, low word first."""
    return word(generator, seed, id, position) | word(generator, seed, id, position + 1) << 32


def rounded(exact, dtype):
    """The number of `dtype` nearest to a rational, ties to even."""
    if dtype is np.float64:
        return np.float64(exact.numerator / exact.denominator)  # Python's int division rounds correctly
    double = exact.numerator / exact.denominator
    # Rounding to 53 bits and then to 24 could round twice; to odd and then to 24 cannot (Boldo, Melquiond 2005).
    if Fraction(double) != exact and not int(np.float64(double).view(np.uint64)) & 1:
        double = math.nextafter(double, math.inf if exact > Fraction(double) else -math.inf)
    return np.float32(double)


def fma(a, b, c):
    """a * b + c, rounded once."""
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    if exact == 0:  # a rational has no -0
        return a * b + c
    return rounded(exact, type(c))


def horner(x, coefficients):
    y = type(x)(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        y = fma(y, x, type(x)(c))
    return y


def uniform(generator, seed, id, position, dtype, low=0.0, high=1.0):
    """The uniform sample whose words begin at `position`."""
    low, high = dtype(low), dtype(high)
    if dtype is np.float32:
        u = np.float32(word(generator, seed, id, position) >> 8) * np.float32(2.0**-24)
    else:
        u = np.float64(word64(generator, seed, id, position) >> 11) * np.float64(2.0**-53)
    return min(fma(u, high - low, low), np.nextafter(high, low))


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
    log1p = f - s * fma(-z, horner(z, LOG64), f)
    low = fma(np.float64(exponent), np.float64(float.fromhex("0x1.8432a1b0e2634p-42")), log1p * -2.0)
    return fma(np.float64(exponent), np.float64(float.fromhex("-0x1.62e42fefa4p+0")), low)


def _hex(text):
    return [float.fromhex(c) for c in text.split()]


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
