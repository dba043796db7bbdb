"""What runs on a GPU, whoever starts it: the kernels' text, a fill as a job for them, and which thread writes what."""
