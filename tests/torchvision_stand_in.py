"""timm imports torchvision, which does not load beside the CPU build of PyTorch; initialisation needs nothing of it."""

import contextlib
import importlib.abc
import importlib.machinery
import sys
import types


class Kind(type):
    """A class whose every attribute is such a class."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        value = Kind(name, (), {})
        setattr(cls, name, value)
        return value


class StandIn(types.ModuleType):
    """A module in which every name is a class of no use."""

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
    """Have `import torchvision` give a stand-in inside the block; afterwards there is none again."""
    finder = Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
