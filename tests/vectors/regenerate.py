"""Write golden.json anew, from the scalar tier. A changed hash is a change of bits: say so in CHANGELOG.md.

Usage: python tests/vectors/regenerate.py
"""

import json
import sys
from pathlib import Path

import pyinit

sys.path.insert(0, str(Path(__file__).parents[1]))
import golden


def main() -> None:
    """Hash 100,003 samples of every generator, sampler, dtype and position."""
    with pyinit.isa.use("scalar"):
        hashes = {case: golden.digest(case) for case in golden.CASES}
    golden.FILE.write_text(json.dumps(hashes, indent=1) + "\n")


if __name__ == "__main__":
    main()
