"""Frameworks whose models and tensors pyinit fills: one folder each, imported when it is asked for."""
