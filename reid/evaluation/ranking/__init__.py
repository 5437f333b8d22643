"""Embeddings -> the exact rank of every true match.

``ranks`` says what a rank is and how it is found. The files in the order of the work: ``scores`` (the definition),
``frame``, ``rounding`` and ``products`` (cheap arithmetic with a proven error), ``matches``, ``block`` (``ignored``,
``sieve``, ``whole``), ``settle``, and for collapsed networks ``copies`` and ``near``.
``tracks`` ranks tracks instead of images, ``ranked`` chooses.
"""
