"""``python train.py -m``: jobs planned, launched here or elsewhere, and told of in one folder; see docs/sweeps.md."""
