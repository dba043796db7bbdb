"""Invalid files of plans and shapes: one clear error each, before anything is written."""

import pytest
from hostile_headers import DIGITS

import pyinit
from pyinit.untrusted import DamagedError

LAUGHS = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcde", "bcdef")
)
PLANS = {
    "json": ("{", "[]", DIGITS,
             '{"w": NaN}', '{"w": "ones", "w": "zeros"}', "[" * 10**5, '{"\\ud800": "ones"}', "\xff"),
    "yaml": ("a: [", "- a", "a: !!bool x", "a: !!timestamp x", "!!python/object/apply:os.system [ls]", "? [a]\n: 1",
             LAUGHS, "&a [*a]", "a: &a {b: *a}", "1: ones", "a: 2001-01-01", "[" * 5000, "a: 0x" + "f" * 5000, "\xff"),
    "toml": ("a", "a = 1\na = 2", "a." * 10**5 + "a = 1", "a = 1979-05-27", "a = " + "[" * 10**4,
             "a = 0x" + "f" * 5000),
}  # fmt: skip


@pytest.mark.parametrize(
    ("suffix", "number"), [(suffix, i) for suffix, texts in PLANS.items() for i in range(len(texts))]
)
def test_plans_that_are_none_are_refused(tmp_path, suffix, number):
    if suffix == "toml":
        pytest.importorskip("tomllib")
    path = tmp_path / f"plan.{suffix}"
    path.write_bytes(PLANS[suffix][number].encode("latin-1"))
    with pytest.raises(DamagedError, match=f"^{path}: ") as error:
        pyinit.checkpoint.write(path, tmp_path / "out", 0)
    assert len(str(error.value)) < 400
    assert str(error.value).isprintable()
    assert not (tmp_path / "out").exists()
