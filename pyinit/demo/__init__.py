"""What `pyinit demo` shows: the article's experiments, and a deep network that learns or does not."""
