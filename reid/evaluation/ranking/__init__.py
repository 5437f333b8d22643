"""Embeddings -> the exact rank of every true match.

``ranks`` says what a rank is and how it is found. The files in the order of the work: ``scores`` (the definition),
``frame`` and ``products`` (cheap arithmetic with a proven error), ``matches``, ``sieve``, ``settle``, ``copies``.
``tracks`` ranks tracks instead of images, ``ranked`` chooses.
"""
