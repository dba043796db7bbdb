"""Write golden.json anew, from the scalar tier. A changed hash is a change of bits: say so in CHANGELOG.md.

Usage: python tests/vectors/regenerate.py
"""

import hashlib
import json
from pathlib import Path

import pyinit

KINDS = [("bits", "uint32"), *((s, d) for s in ("uniform", "normal") for d in ("float32", "float64"))]
POSITIONS = (0, 7, 2**34 - 50_000, 2**66 - 250_000)


def main() -> None:
    """Hash 100,003 samples of every generator, sampler, dtype and position."""
    golden = {}
    with pyinit.isa.use("scalar"):
        for generator in ("philox", "ars5"):
            for sampler, dtype in KINDS:
                for position in POSITIONS:
                    stream = pyinit.Stream(0x0123456789ABCDEF, generator, id=0xFEDCBA9876543210, position=position)
                    values = stream.bits(100_003) if sampler == "bits" else getattr(stream, sampler)(100_003, dtype)
                    little = values.astype(values.dtype.newbyteorder("<")).tobytes()
                    golden[f"{generator} {sampler} {dtype} {position}"] = hashlib.sha256(little).hexdigest()
    (Path(__file__).parent / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
