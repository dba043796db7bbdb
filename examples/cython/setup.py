"""Build with `python setup.py build_ext --inplace`; then `import article, walk`."""

from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

import pyinit

examples = [Extension(name, [f"{name}.pyx"], include_dirs=[pyinit.get_include()]) for name in ("article", "walk")]
# `cimport pyinit` looks in `include_path`: Cython alone does not find an editable installation.
setup(name="examples", ext_modules=cythonize(examples, include_path=[str(Path(pyinit.__file__).parents[1])]))
