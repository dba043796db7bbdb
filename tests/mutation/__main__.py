"""Put faults into the code, one at a time, and record which test noticed each.

Results are added to tests/mutation/table.jsonl, one line per fault; faults in the table are not tried again. Rows whose
line is no longer in the code are removed first.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mutation.checks import ROOT, Checks, InvalidError
from mutation.operators import Mutant, chosen

TABLE = Path(__file__).with_name("table.jsonl")
EXPLAINED = Path(__file__).with_name("survivors.json")  # maps keys of the table to the reason why no test can notice
SEED = 20
# The number of faults in each file, without files of kernels that this processor cannot run.
QUOTAS = {
    "src_c/window.c": 20,
    "src_c/items.c": 12,
    "src_c/overlap.c": 16,
    "src_c/stream.c": 10,
    "src_c/rows.c": 10,
    "src_c/fills.c": 4,
    "src_c/core.h": 5,
    "src_c/philox.h": 8,
    "src_c/ars.h": 5,
    "src_c/samples.h": 8,
    "src_c/uniform.h": 3,
    "src_c/box_muller.h": 4,
    "src_c/elementary.h": 6,
    "src_c/inverse_cdf.h": 6,
    "src_c/truncated.h": 6,
    "src_c/narrow.h": 5,
    "src_c/narrow.c": 2,
    "src_c/fill.inc.h": 8,
    "src_c/fill_avx512_bf16.c": 2,
    "src_c/fpenv.h": 2,
    "src_c/job.h": 3,
    "src_c/tables.h": 6,
    "src_c/child.c": 8,
    "src_c/distribution.c": 10,
    "src_c/normal_cdf.h": 4,
    "src_c/dispatch.c": 5,
    "src_c/simd_scalar.h": 6,
    "src_c/simd_scalar_tables.h": 3,
    "src_c/simd_shared.h": 3,
    "src_c/simd_avx2.h": 6,
    "src_c/simd_avx512.h": 8,
    "src_c/threads.c": 6,
    "src_c/processors.c": 8,
    "src_c/memory.c": 3,
    "src_c/xla.c": 4,
    "pyinit/boundary/arrays.pxi": 10,
    "pyinit/boundary/batches.pxi": 10,
    "pyinit/boundary/distributions.pxi": 8,
    "pyinit/boundary/dtypes.pxi": 5,
    "pyinit/boundary/fills.pxi": 10,
    "pyinit/boundary/launches.pxi": 5,
    "pyinit/boundary/streams.pxi": 8,
    "pyinit/boundary/tables.pxi": 2,
    "pyinit/adapters/torch/windows.py": 10,
    "pyinit/adapters/torch/sharding.py": 6,
    "pyinit/models/sharding.py": 8,
    "pyinit/adapters/dask/arrays.py": 5,
    "pyinit/adapters/jax/arrays.py": 4,
    "pyinit/adapters/jax/drawing.py": 4,
}


def rows() -> list[dict[str, Any]]:
    """Read the table."""
    return [json.loads(line) for line in TABLE.read_text().splitlines()] if TABLE.exists() else []


def standing(table: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Keep the rows whose line is still in the code, with its present number; the others are obsolete."""
    for row in table:
        path = ROOT / row["file"]
        lines = path.read_text().splitlines() if path.exists() else []
        places = [number for number, line in enumerate(lines, 1) if line.strip() == row["old"]]
        if places:
            yield row | {"line": min(places, key=lambda number: abs(number - row["line"]))}


def tried(checks: Checks, mutant: Mutant, quick: bool) -> dict[str, Any]:
    """Run the checks of a fault until one notices it; return its name, or nothing."""
    path = checks.folder / mutant.file
    text = path.read_text()
    path.write_text(mutant.applied(text))
    try:
        for name, failure in (checks.quick if quick else checks.thorough)(mutant.file):
            if failure:
                return {"killed_by": name, "how": failure}
        return {}
    except InvalidError:
        return {"invalid": True}
    finally:
        path.write_text(text)


def run(mutants: Iterable[Mutant], checks: Checks) -> None:
    """Try each mutant that is not in the table, first with the quick checks only, and add it to the table."""
    known, left = {row["key"] for row in rows()}, []

    def add(row: dict[str, Any]) -> None:
        with TABLE.open("a") as file:
            file.write(json.dumps(row) + "\n")
        verdict = row.get("killed_by", "no compiler takes it" if "invalid" in row else "SURVIVED")
        print(verdict, row["file"], row["line"], row["new"], sep=" | ", flush=True)

    for mutant in mutants:
        row = mutant.row((ROOT / mutant.file).read_text())
        if row["key"] in known:
            continue
        known.add(row["key"])
        found = tried(checks, mutant, quick=True) if mutant.file.startswith("src_c/") else {}
        if found:
            add(row | found)
        else:
            left.append((mutant, row))
    for mutant, row in left:
        found = tried(checks, mutant, quick=False)
        if found.get("killed_by", "").endswith(".py"):
            checks.require_sound(found["killed_by"], found["how"])
        add(row | found)


def main() -> None:
    """Run all mutants, or those of some files."""
    parser = argparse.ArgumentParser(prog="python -m mutation", description=__doc__)
    parser.add_argument("files", nargs="*", help="only the faults of these files")
    parser.add_argument("--again", metavar="KEY", nargs="*", default=[], help="try these again")
    parser.add_argument("--scratch", type=Path, help="an empty folder for the copy (default: a temporary one)")
    options = parser.parse_args()
    quotas = {file: quota for file, quota in QUOTAS.items() if not options.files or file in options.files}
    mutants = chosen(ROOT, quotas, SEED)
    kept = [row for row in standing(rows()) if row["key"] not in options.again]
    if kept != rows():
        TABLE.write_text("".join(json.dumps(row) + "\n" for row in kept))
    with tempfile.TemporaryDirectory(prefix="pyinit-mutation-") as temporary:
        run(mutants, Checks(options.scratch or Path(temporary)))
    verdicts = Counter(
        "invalid" if "invalid" in row else "killed" if "killed_by" in row else "survived" for row in rows()
    )
    print(dict(verdicts))


if __name__ == "__main__":
    main()
