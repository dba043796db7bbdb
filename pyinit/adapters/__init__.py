"""Frameworks whose models and tensors pyinit fills: one folder each, imported on demand."""
