"""k-reciprocal re-ranking as the paper defines it: dense, float64, one image at a time, sets for sets.

Slow and obvious on purpose, and independent of ``reid``: the tests of the sparse version compare with it.
"""

import math

import numpy as np


def squared_distances(features, distance):
    """[N, N] squared Euclidean distances of the float32 rows, unit rows first under cosine."""
    points = [np.float64(np.float32(row)) for row in features]
    if distance == "cosine":
        points = [p / (math.sqrt(np.sum(p * p)) or 1.0) for p in points]
    return np.array([[np.sum((a - b) ** 2) for b in points] for a in points])


def neighbours(distances):
    """[N][N] images from nearest to farthest; sorted() is stable, so a tie goes to the lower index."""
    return [sorted(range(len(row)), key=lambda j: row[j]) for row in distances.tolist()]


def reciprocal(order, i, k):
    return {j for j in order[i][: k + 1] if i in order[j][: k + 1]}


def expanded(order, i, k1):
    mine = reciprocal(order, i, k1)
    result = set(mine)
    for j in mine:
        theirs = reciprocal(order, j, round(k1 / 2))
        if 3 * len(mine & theirs) > 2 * len(theirs):
            result |= theirs
    return sorted(result)


def distances(query, gallery, *, k1=20, k2=6, lambda_value=0.3, distance="cosine"):
    """[Q, G] float64 distances after re-ranking."""
    squared = squared_distances([*query, *gallery], distance)
    order, count = neighbours(squared), len(squared)
    longest = squared.max(axis=1, keepdims=True)
    original = squared / np.where(longest > 0, longest, 1)

    encoded = np.zeros((count, count))
    for i in range(count):
        members = expanded(order, i, k1)
        weights = np.exp(-original[i, members])
        encoded[i, members] = weights / np.sum(weights)
    if k2 != 1:
        encoded = np.array([encoded[order[i][:k2]].mean(axis=0) for i in range(count)])

    result = np.empty((len(query), len(gallery)))
    for q in range(len(query)):
        for g in range(len(gallery)):
            shared = np.minimum(encoded[q], encoded[len(query) + g]).sum()
            jaccard = 1 - shared / (2 - shared)
            result[q, g] = (1 - lambda_value) * jaccard + lambda_value * original[q, len(query) + g]
    return result
