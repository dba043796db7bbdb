"""The parts of `pyinit demo`: the article's experiments, and a deep network that learns or does not."""
