"""Write the golden hashes of the contract's version, from the scalar tier.

Usage: python tests/vectors/regenerate.py

The hashes of a new kind of fill are added to the version's file. A change of bits needs a new version: raise
PYI_CONTRACT_VERSION in src_c/pyinit.h, build, run this, and describe the change in CHANGELOG.md and docs/contract.md.
In both cases, put the file's own hash into test_contract.py.
"""

import json
import sys
from pathlib import Path

import pyinit

sys.path.insert(0, str(Path(__file__).parents[1]))
import golden


def main() -> None:
    """Hash the samples of every generator, distribution, dtype and position."""
    with pyinit.isa.use("scalar"):
        hashes = {case: golden.digest(case) for case in golden.CASES}
    frozen = golden.hashes() if golden.FILE.exists() else {}
    changed = [case for case, digest in frozen.items() if hashes.get(case) != digest]
    if changed:
        raise SystemExit(f"{len(changed)} cases have other bits than {golden.FILE.name}, {changed[0]!r} among them")
    golden.FILE.write_text(json.dumps(hashes, indent=1) + "\n")


if __name__ == "__main__":
    main()
