"""Small faults, put into the code one by one, which the tests must notice: see `python -m mutation --help`."""
