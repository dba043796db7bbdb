"""Times every fill beside memset and NumPy, prints the table, and writes every repetition's time as JSON.

It is the command `pyinit bench` with a place for its output: see there for the options, and pyinit/bench.py for what
is timed and how.
"""

import sys
from pathlib import Path

from pyinit.cli import main

RESULTS = Path(__file__).parent / "results"

if __name__ == "__main__":
    sys.exit(main(["bench", "--output", str(RESULTS / "latest.json"), *sys.argv[1:]]))
