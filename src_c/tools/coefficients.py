"""Print the coefficients of elementary.h, inverse_cdf.h and truncated.h, with the error of each approximation.

Usage: python src_c/tools/coefficients.py   (needs mpmath and NumPy; some minutes)

A polynomial is the minimax fit found by Lawson's iteration (C. L. Lawson, 1961): least squares
whose weights grow where the error is large. Coefficients are rounded to the working precision
one at a time, lowest degree first, and the rest fitted again, so that the later ones make up for
the rounding of the earlier.
"""

import functools

import mpmath as mp
import numpy as np

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


def chebyshev_nodes(lo, hi, count):
    """Points of [lo, hi], denser towards its ends."""
    lo, hi = mp.mpf(lo), mp.mpf(hi)
    return [lo + (hi - lo) * (1 - mp.cos(mp.pi * (i + mp.mpf(1) / 2) / count)) / 2 for i in range(count)]


def fit(name, f, lo, hi, degree, bits, *, relative=True, known=(), nodes=NODES, refit=True):
    """Print a polynomial for `f` on [lo, hi] with coefficients of `bits` bits, lowest degree first; return them."""
    nodes = chebyshev_nodes(lo, hi, nodes)
    f = functools.cache(f)
    weight = (lambda x: 1 / f(x)) if relative else (lambda x: mp.mpf(1))
    p = [mp.mpf(c) for c in known]
    if not refit:
        p = [round_to(c, bits) for c in minimax(f, weight, nodes, degree, p)]
    while len(p) <= degree:
        p.append(round_to(minimax(f, weight, nodes, degree, p)[0], bits))
    worst = max(abs(weight(x) * (mp.polyval(p[::-1], x) - f(x))) for x in nodes)
    kind = "relative" if relative else "absolute"
    print(f"{name}, degree {degree}: {kind} error 2^{mp.nstr(mp.log(worst, 2), 4)}")
    for i, c in enumerate(p):
        print(f"  c{i} {float(c).hex()}")
    return [float(c) for c in p]


def upper_quantile(p):
    """The z > 0 that a standard normal exceeds with probability `p`, by Newton's iteration."""
    log_p = mp.log(p)
    z = mp.sqrt(-2 * log_p) if p < 0.3 else (mp.mpf("0.5") - p) * mp.sqrt(2 * mp.pi)
    for _ in range(60):
        tail = mp.erfc(z / mp.sqrt(2)) / 2
        step = (mp.log(tail) - log_p) * tail / mp.npdf(z)
        z += step
        if abs(step) < mp.mpf(10) ** -40:
            break
    return z


def hex24(c):
    """A float as a C literal."""
    mantissa, exponent = float(np.float32(c)).hex().split("p")
    return f"{mantissa.rstrip('0').rstrip('.')}p{exponent}f"


def table(rows):
    """Print the coefficients of 16 polynomials, one row per degree."""
    for degree in range(len(rows[0])):
        print("    {" + ", ".join(hex24(row[degree]) for row in rows) + "},")


def quantile_table():
    """The 16 polynomials of the float quantile, indexed by the exponent field of 2 s modulo 16."""
    rows = [None] * 16
    for k in range(15):  # s in [2^-(k+2), 2^-(k+1)) as (2 - d) 2^-(k+2), v = s^2 = 2 p
        f = lambda d, k=k: upper_quantile(((2 - d) / mp.mpf(2) ** (k + 2)) ** 2 / 2)  # noqa: E731
        rows[14 - k] = fit(f"f32 quantile, octave {k}", f, 0, 1, 8, 24, nodes=64, refit=False)
    centre = lambda y: upper_quantile(mp.mpf("0.5") - mp.sqrt(y) / 2) / mp.sqrt(y)  # noqa: E731
    smallest, largest = mp.mpf(2) ** -40, mp.mpf("0.5625")
    median = fit("f32 quantile, centre, in t^2", centre, smallest, largest, 8, 24, nodes=64, refit=False)
    rows[15] = [c / 4 / 16**i for i, c in enumerate(median)]  # inverse_cdf.h has 4 t for t
    table(rows)


def fit_ratio(name, f, points, above, below):
    """Print a ratio of polynomials, of degrees `above` and `below`, for values `f` at `points`: like `minimax`, on the
    linearised equation (C. K. Sanathanan, J. Koerner, 1963)."""
    x, y = np.array(points, float), np.array(f, float)
    powers = np.vander(x, max(above, below) + 1, increasing=True)
    scale = abs(powers).max(0)
    powers = powers / scale
    lawson, bottom, best = np.ones_like(x), np.ones_like(x), (np.inf,)
    for i in range(200):
        weight = np.sqrt(lawson) / y / bottom
        system = np.hstack([powers[:, : above + 1], -powers[:, 1 : below + 1] * y[:, None]])
        c = np.linalg.lstsq(system * weight[:, None], y * weight, rcond=None)[0]
        bottom = 1 + powers[:, 1 : below + 1] @ c[above + 1 :]
        error = abs(powers[:, : above + 1] @ c[: above + 1] / bottom / y - 1)
        if error.max() < best[0]:
            best = error.max(), c[: above + 1] / scale[: above + 1], [1, *(c[above + 1 :] / scale[1 : below + 1])]
        if i > 10:
            lawson = lawson * (error + 1e-30)
            lawson /= lawson.mean()
    print(f"{name}: relative error 2^{np.log2(best[0]):.4}")
    for side in best[1:]:
        print("  ", ", ".join(hex24(c) for c in side))


def main():
    quarter, half_root = mp.mpf(1) / 4, mp.sqrt(mp.mpf(1) / 2)
    fit("f32 -2 log1p(f)/f", lambda f: -2 * mp.log1p(f) / f, half_root - 1, 2 * half_root - 1, 7, 24)
    sine = lambda y: mp.sin(mp.pi * mp.sqrt(y)) / mp.sqrt(y)  # noqa: E731
    cosine = lambda y: mp.cos(mp.pi * mp.sqrt(y))  # noqa: E731
    fit("f32 sin(pi x)/x in x^2", sine, 0, quarter, 4, 24)
    fit("f32 cos(pi x) in x^2", cosine, 0, quarter, 4, 24, relative=False, known=[1])
    # log1p(f) = 2 atanh(s), s = f / (2 + f), |s| <= 3 - 2 sqrt(2); this fits the part beyond 2 s.
    series = lambda z: (2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 2) / z  # noqa: E731
    fit("f64 (2 atanh(s)/s - 2)/s^2 in s^2", series, 0, (3 - 4 * half_root) ** 2, 7, 53)
    fit("f64 sin(pi x)/x in x^2", sine, 0, quarter, 8, 53)
    fit("f64 cos(pi x) in x^2", cosine, 0, quarter, 8, 53, relative=False, known=[1])
    quantile_table()
    tails = [mp.mpf(z) for z in (*np.linspace(0.43, 10, 500), *np.geomspace(10, 39, 200))]
    s = [mp.sqrt(-2 * mp.log(mp.erfc(z / mp.sqrt(2)) / 2)) for z in tails]
    fit_ratio("f32 quantile in s = sqrt(-2 ln p)", tails, s, 5, 4)
    # Mills' ratio Q/phi times (1 + x): from 1.25 to 1, smooth in t on the whole half-line.
    scaled = lambda x: mp.erfc(x / mp.sqrt(2)) / 2 / mp.npdf(x) * (1 + x)  # noqa: E731
    f = lambda t: scaled(4 * (1 + t) / (1 - t))  # noqa: E731
    fit("f64 (1 + x) Q(x)/phi(x) in t = (x - 4)/(x + 4)", f, -1, mp.mpf("0.85"), 24, 53, nodes=120, refit=False)
    print("-2 ln 2 as f32", float(round_to(-2 * mp.log(2), 24)).hex())
    high = round_to(-2 * mp.log(2), 40)  # few enough bits that exponent * high is exact
    print("-2 ln 2 as f64", float(high).hex(), "+", float(round_to(-2 * mp.log(2) - high, 53)).hex())


if __name__ == "__main__":
    main()
