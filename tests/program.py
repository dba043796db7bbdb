"""The program as a user starts it, and a terminal to write to."""

import io
import os
import subprocess
import sys

ESCAPE = "\x1b"


def run(*arguments, program=("-m", "pyinit"), **variables):
    command = [sys.executable, "-W", "error", *program, *map(str, arguments)]
    # FORCE_COLOR makes rich use colours in a pipe; the output must stay plain text.
    environment = {**os.environ, "FORCE_COLOR": "1", "PYTHONIOENCODING": "ascii", "COLUMNS": ""}
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**environment, **variables})


class Terminal(io.StringIO):
    def isatty(self):
        return True
