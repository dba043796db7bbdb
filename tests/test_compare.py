"""benchmarks/compare.py with real results and with results that the tests change."""

import copy
import json
import math
from pathlib import Path

import compare
import numpy as np
import pytest

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
NOT_TIMED = ("h200-on-paper", "quality")
FILES = sorted(path for path in RESULTS.glob("2*.json") if not path.stem.endswith(NOT_TIMED))
FILLS = next(path for path in FILES if path.stem.endswith("avx512"))


def scaled(node, factor, chosen=lambda key: True, key=()):
    """Return a copy of results in which the chosen timings take `factor()` times as long."""
    found = compare.timings(node)
    copied = copy.deepcopy(node)

    def change(part, path=()):
        if isinstance(part, list):
            for item in part:
                change(item, path)
        elif isinstance(part, dict):
            path += tuple(str(part[k]) for k in compare.IDENTITY if part.get(k) is not None)
            for name, value in part.items():
                if name == "seconds" and isinstance(value, list):
                    assert path in found
                    if chosen(path):
                        times = factor()
                        part[name] = [times * s for s in value]
                else:
                    change(value, path if name == "runs" else (*path, name))

    change(copied)
    return copied


def is_peer(key):
    return any(part.startswith(compare.PEERS) for part in key)


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_each_kind_of_results_is_the_same_as_itself(path):
    result = json.loads(path.read_text())
    found, factor, _ = compare.changes(result, result)
    assert len(found) >= 6
    assert {change.verdict for change in found} == {"same"}
    assert factor == 1


def test_only_what_changed_is_told():
    old = json.loads(FILLS.read_text())
    names = sorted({key for key in compare.timings(old) if not is_peer(key) and key[0] == "fills"})
    slow, fast = names[3], names[-2]
    noise = np.random.default_rng(1)
    new = scaled(old, lambda: 1.7 * math.exp(noise.normal(0, 0.005)))  # a slower machine
    new = scaled(new, lambda: 1.3, lambda key: key == slow)
    new = scaled(new, lambda: 1 / 1.3, lambda key: key == fast)
    found, factor, between = compare.changes(old, new)
    assert 1.68 < factor < 1.72
    assert 0.002 < between < 0.01
    assert {c.key: c.verdict for c in found if c.verdict != "same"} == {slow: "slower", fast: "faster"}
    told = compare.text(found, factor, between)
    assert told.startswith("slower 1.3")
    assert ", ".join(slow) in told.splitlines()[0]
    assert "2 changed" in told


def test_where_peers_differ_so_much_nothing_can_be_told():
    old = json.loads(FILLS.read_text())
    slow = next(key for key in compare.timings(old) if not is_peer(key))
    noise = np.random.default_rng(2)
    new = scaled(old, lambda: math.exp(noise.normal(0, 0.2)), is_peer)
    new = scaled(new, lambda: 1.3, lambda key: key == slow)
    found, _, between = compare.changes(old, new)
    assert between > 0.1
    assert next(c for c in found if c.key == slow).verdict == "same"


def test_exit_codes(tmp_path, monkeypatch, capsys):
    old = json.loads(FILLS.read_text())
    slower = tmp_path / "slower.json"
    slower.write_text(json.dumps(scaled(old, lambda: 2.0, lambda key: key[1].startswith("ars5"))))
    other = tmp_path / "other.json"
    other.write_text("{}")
    for arguments, code in (([FILLS, FILLS], 0), ([FILLS, slower], 1), ([slower, FILLS], 0)):
        monkeypatch.setattr("sys.argv", ["compare.py", *map(str, arguments)])
        assert compare.main() == code
        assert "timings of pyinit" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["compare.py", str(FILLS), str(other)])
    with pytest.raises(SystemExit, match="no timing in common"):
        compare.main()
