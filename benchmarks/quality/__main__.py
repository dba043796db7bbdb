"""`python -m quality`, with benchmarks/ on the path: see `program.py`."""

import sys

from quality.program import main

sys.exit(main())
