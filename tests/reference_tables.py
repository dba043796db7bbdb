"""The constants and the coefficients of the polynomials in reference.py."""

import numpy as np


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

# A row for each power of x, indexed by the low four bits of the exponent of s; index 14 is the median.
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
