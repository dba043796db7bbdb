"""A stand-in for torchvision, which timm imports but does not need, and which the CPU build of PyTorch cannot load."""

import contextlib
import importlib.abc
import importlib.machinery
import sys
import types


class Kind(type):
    """A class whose attributes are all such classes."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        value = Kind(name, (), {})
        setattr(cls, name, value)
        return value


class StandIn(types.ModuleType):
    """A module in which every name is a dummy class."""

    __path__ = ()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Kind(name, (), {})


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torchvision":
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return StandIn(spec.name)

    def exec_module(self, module):
        pass


@contextlib.contextmanager
def installed():
    """Make `import torchvision` return a stand-in inside the block only."""
    finder = Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
