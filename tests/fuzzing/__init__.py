"""Fuzzers, guided by what of the code an input reaches: `make fuzz TARGET=core`, `streams` or `readers`."""
