"""Statistical quality of the samples: counts, and the p-values that compare them with exact laws.

`python -m quality` tests the processors' samples (`program.py`), `python -m quality.gpu` a GPU's, in larger numbers.
"""
