"""Fuzzers guided by code coverage: `make fuzz TARGET=core`, `streams` or `readers`."""
