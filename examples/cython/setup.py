"""Build with `python setup.py build_ext --inplace`; then `import walk`."""

from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

import pyinit

walk = Extension("walk", ["walk.pyx"], include_dirs=[pyinit.get_include()])
# Where `cimport pyinit` looks: Cython itself would not find an editable installation.
setup(name="walk", ext_modules=cythonize([walk], include_path=[str(Path(pyinit.__file__).parents[1])]))
