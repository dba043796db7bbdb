"""The program for type checkers runs. `make lint` checks its types."""

import runpy
from pathlib import Path


def test_the_typed_program_runs():
    runpy.run_path(str(Path(__file__).parent / "typed_surface.py"), run_name="__main__")
