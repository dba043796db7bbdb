"""Run a fuzzer of Python code with atheris: `python -m fuzzing streams|readers [OPTION ...] FOLDER ...`.

The options are libFuzzer's. Inputs that reach new code are kept in the first folder; if it is empty, the readers start
with undamaged files.
"""

import sys
from importlib import import_module
from pathlib import Path

import atheris


def main() -> None:
    """Let atheris record which code of pyinit an input reaches."""
    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=["pyinit", "fuzzing"]):
        target = import_module(f"fuzzing.{name}")
    folder = Path(next(argument for argument in sys.argv[1:] if not argument.startswith("-")))
    folder.mkdir(parents=True, exist_ok=True)
    if name == "readers" and not any(folder.iterdir()):
        for number, data in enumerate(target.samples().values()):
            (folder / str(number)).write_bytes(bytes([number]) + data)
    atheris.Setup(sys.argv, target.one_input)
    atheris.Fuzz()


main()
