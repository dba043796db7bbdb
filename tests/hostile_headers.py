"""Lying headers of .safetensors files, functions to write them, and other harmful contents of files."""

import json

DIGITS = "1" + "0" * 5000


def entry(shape, nbytes, dtype="F32", begin=0):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, begin + nbytes]}


def write(path, header, nbytes=0):
    """Write a file with a header, as JSON or bytes, and then zeros, which use no space on the disk."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + nbytes)
    return path


def told(schemes, seed="0", **more):
    """Return metadata as pyinit writes it."""
    return {"seed": seed, "schemes": schemes if isinstance(schemes, str) else json.dumps(schemes), **more}


def whole(path, name="w"):
    """Write an undamaged file of one tensor."""
    return write(path, {"__metadata__": told({name: "ones"}), name: entry([2], 8)}, 8)


HEADERS = {
    "no JSON": b"not JSON",
    "not UTF-8": b'{"\xff": {}}',
    "a list": [],
    "nested": b'{"w":' + b"[" * 4000 + b"}",
    "deep metadata": b'{"__metadata__":' + b"[" * 10**5 + b"}",
    "metadata of numbers": {"__metadata__": {"a": 1}},
    "twice": b'{"w":%b,"w":%b}' % ((json.dumps(entry([2], 8)).encode(),) * 2),
    "shape twice": b'{"w":{"dtype":"F32","shape":[9],"shape":[2],"data_offsets":[0,8]}}',
    "too short": {"w": entry([3], 12)},
    "too long": {"w": entry([1], 4)},
    "lies about its bytes": {"w": entry([2, 10**10], 8)},
    "10**20 elements": {"w": entry([10**10, 10**10], 8)},
    "a product that wraps to 2": {"w": entry([2**32, 2**32, 2], 8)},
    "nothing of 2**124": {"v": entry([2**62, 2**62, 0], 0), "w": entry([2], 8)},
    "negative": {"w": entry([-2], 8)},
    "NaN": b'{"w":{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}}',
    "many digits": b'{"w":{"dtype":"F32","shape":[' + DIGITS[:4000].encode() + b'],"data_offsets":[0,8]}}',
    "1,000 dimensions": {"w": entry([1] * 1000, 4), "v": entry([1], 4, begin=4)},
    "overlap": {"w": entry([2], 8), "v": entry([1], 4, begin=4)},
    "the same bytes": {"w": entry([1], 4), "v": entry([1], 4)},
    "hole": {"w": entry([1], 4), "v": entry([0], 0, begin=8)},
    "backwards": {"w": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}},
    "no dtype": {"w": {"shape": [2], "data_offsets": [0, 8]}},
    "a dtype of no format": {"w": entry([2], 8, "\x1b[31m")},
    "half a pair": b'{"\\ud800":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
    "schemes are no JSON": {"__metadata__": told("nonsense"), "w": entry([2], 8)},
    "schemes are a list": {"__metadata__": told("[]"), "w": entry([2], 8)},
    "schemes are nested": {"__metadata__": told("[" * 10**5), "w": entry([2], 8)},
    "schemes are numbers": {"__metadata__": told('{"w": 1}'), "w": entry([2], 8)},
    "seed of 67 bits": {"__metadata__": told({"w": "zeros"}, "9" * 20), "w": entry([2], 8)},
    "seed of no digits": {"__metadata__": told({"w": "zeros"}, "²"), "w": entry([2], 8)},
    "generator": {"__metadata__": told({"w": "zeros"}, generator="\x1b[31m"), "w": entry([2], 8)},
}
"""For files with 8 bytes of values."""

NASTY = (
    *(-1, 0, 1, 3, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**20, 10**400, 0.5, -0.0, 1e400, float("nan")),
    *(None, True, [], {}, [[]], [0], "", "F32", "I64", "F4", "F99", "x" * 5000, "\ud800", "\x1b[2J", "a\nb", "\0"),
    *("../model.safetensors", "/etc/passwd", "model-00001-of-00002.safetensors", "__metadata__", "é", "\U0001f600"),
    *("normal(", "normal(std=-1)", "normal(std=1" + "0" * 400 + ")", "normal(**{})", "__import__('os')", "1if 1else 2"),
    *(
        "constant(nan)",
        "sparse(0.5)",
        "orthogonal",
        "(" * 900,
        "-" * 900 + "1",
        "a=" * 300,
        '"\\d"',
        "{" * 50,
        "18" * 10,
    ),
)
FRAGMENTS = (
    *(b'"', b"{", b"}", b"[" * 2000, b",", b":", b"\\", b"\\ud800", b"\xff", b"\0", b"\x1b[31m", b"NaN", b"1e999"),
    *(
        b"&a [",
        b"*a",
        b"!!bool x",
        b"!!timestamp x",
        b"!!python/object/apply:os.system [ls]",
        b"? [a]",
        b"<<: *a",
        b"- ",
    ),
    *(b"a.b.c = 1\n", b"[a.b]\n", b"a = {", b"0x" + b"f" * 5000, b"1979-05-27", b'"""', b"'''", b"\n", b"9" * 5000),
    *(b"(", b")", b"'descr': '|O'", b"'shape': (2**60,)", b"<f8", b">f4", b"True", b"-1", b"99999999999999999999"),
)
