"""Small faults, put into the code one by one, that the tests have to notice: see `python -m mutation --help`."""
