"""Fills on a GPU: the kernels' source, the work of each thread, and the one fill for all devices."""
