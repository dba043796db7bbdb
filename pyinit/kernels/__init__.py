"""What runs on a GPU: the kernels' text, which thread writes what, and the one fill for all devices."""
