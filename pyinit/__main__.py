"""`python -m pyinit` is the command `pyinit`."""

import sys

from pyinit.cli import main

if __name__ == "__main__":
    sys.exit(main())
