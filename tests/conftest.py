"""What several test modules need: every tier and every generator in turn."""

import pytest

import pyinit

GENERATORS = ("philox", "ars5")


@pytest.fixture(params=pyinit.isa.available())
def tier(request):
    """Runs the test once on each instruction set of this machine."""
    with pyinit.isa.use(request.param):
        yield request.param


@pytest.fixture(params=GENERATORS)
def generator(request):
    return request.param
