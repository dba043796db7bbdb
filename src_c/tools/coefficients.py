"""Print the polynomial coefficients of elementary.h, with the error that each polynomial leaves.

Usage: python src_c/tools/coefficients.py   (needs mpmath)

A polynomial is the minimax fit found by Lawson's iteration (C. L. Lawson, 1961): least squares
whose weights grow where the error is large. Coefficients are rounded to the working precision
one at a time, lowest degree first, and the rest fitted again, so that the later ones make up for
the rounding of the earlier.
"""

import mpmath as mp

mp.mp.dps = 50
NODES = 240
PASSES = 40


def round_to(x, bits):
    """Round `x` to `bits` significant bits, half to even."""
    with mp.workprec(bits):
        return +mp.mpf(x)


def minimax(f, weight, nodes, degree, known):
    """Coefficients of x^len(known) .. x^degree that minimise max |weight (p - f)| over `nodes`."""
    powers = range(len(known), degree + 1)
    target = [f(x) - mp.polyval(known[::-1] or [0], x) for x in nodes]
    lawson = [mp.mpf(1)] * len(nodes)
    for _ in range(PASSES):
        scale = [mp.sqrt(w) * weight(x) for w, x in zip(lawson, nodes)]
        a = mp.matrix([[s * x**k for k in powers] for s, x in zip(scale, nodes)])
        b = mp.matrix([s * t for s, t in zip(scale, target)])
        tail = list(mp.lu_solve(a.T * a, a.T * b))
        errors = [abs(weight(x) * (sum(c * x**k for c, k in zip(tail, powers)) - t)) for x, t in zip(nodes, target)]
        total = sum(w * e for w, e in zip(lawson, errors))
        lawson = [w * e * len(nodes) / total + mp.mpf(10) ** -30 for w, e in zip(lawson, errors)]
    return tail


def fit(name, f, lo, hi, degree, bits, *, relative=True, known=()):
    """Print a polynomial for `f` on [lo, hi] with coefficients of `bits` bits, lowest degree first."""
    lo, hi = mp.mpf(lo), mp.mpf(hi)
    nodes = [lo + (hi - lo) * (1 - mp.cos(mp.pi * (i + mp.mpf(1) / 2) / NODES)) / 2 for i in range(NODES)]
    weight = (lambda x: 1 / f(x)) if relative else (lambda x: mp.mpf(1))
    p = [mp.mpf(c) for c in known]
    while len(p) <= degree:
        p.append(round_to(minimax(f, weight, nodes, degree, p)[0], bits))
    worst = max(abs(weight(x) * (mp.polyval(p[::-1], x) - f(x))) for x in nodes)
    kind = "relative" if relative else "absolute"
    print(f"{name}, degree {degree}: {kind} error 2^{mp.nstr(mp.log(worst, 2), 4)}")
    for i, c in enumerate(p):
        print(f"  c{i} {float(c).hex()}")


def main():
    quarter, half_root = mp.mpf(1) / 4, mp.sqrt(mp.mpf(1) / 2)
    fit("f32 -2 log1p(f)/f", lambda f: -2 * mp.log1p(f) / f, half_root - 1, 2 * half_root - 1, 7, 24)
    sine = lambda y: mp.sin(mp.pi * mp.sqrt(y)) / mp.sqrt(y)  # noqa: E731
    cosine = lambda y: mp.cos(mp.pi * mp.sqrt(y))  # noqa: E731
    fit("f32 sin(pi x)/x in x^2", sine, 0, quarter, 4, 24)
    fit("f32 cos(pi x) in x^2", cosine, 0, quarter, 4, 24, relative=False, known=[1])
    # log1p(f) = 2 atanh(s), s = f / (2 + f), |s| <= 3 - 2 sqrt(2); here the part beyond 2 s.
    series = lambda z: (2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 2) / z  # noqa: E731
    fit("f64 (2 atanh(s)/s - 2)/s^2 in s^2", series, 0, (3 - 4 * half_root) ** 2, 7, 53)
    fit("f64 sin(pi x)/x in x^2", sine, 0, quarter, 8, 53)
    fit("f64 cos(pi x) in x^2", cosine, 0, quarter, 8, 53, relative=False, known=[1])
    print("-2 ln 2 as f32", float(round_to(-2 * mp.log(2), 24)).hex())
    high = round_to(-2 * mp.log(2), 40)  # few enough bits that exponent * high is exact
    print("-2 ln 2 as f64", float(high).hex(), "+", float(round_to(-2 * mp.log(2) - high, 53)).hex())


if __name__ == "__main__":
    main()
