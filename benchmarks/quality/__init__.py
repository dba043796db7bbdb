"""How good the samples are: what is counted of them, and which numbers say whether it fits exact laws.

`python -m quality` measures a host's (`program.py`), `python -m quality.gpu` a GPU's, which counts more of them.
"""
