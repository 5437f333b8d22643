"""Re-identification metrics as their definitions read: every pair scored alone in float64, every gallery sorted.

Slow and obvious on purpose, and independent of ``reid``: the tests of the fast path compare with these functions.
"""

import math

import numpy as np


def score(query, image, distance):
    """Similarity of two feature rows, larger is better; their float32 values, all arithmetic in float64."""
    q, g = np.float64(np.float32(query)), np.float64(np.float32(image))
    if distance == "euclidean":
        return -float(np.sum((q - g) ** 2))
    norms = math.sqrt(np.sum(q * q)) * math.sqrt(np.sum(g * g))
    return float(np.sum(q * g)) / norms if norms > 0 else 0.0


def is_junk(pid, camid, image_pid, image_camid, junk_pids, ignore_same_camera):
    return image_pid in junk_pids or (ignore_same_camera and image_pid == pid and image_camid == camid)


def ranked_list(query, pid, camid, gallery, pids, camids, *, distance, junk_pids=(-1,), ignore_same_camera=True):
    """All gallery indices but junk, best first; sorted() is stable, so a tie goes to the lower index."""
    scores = [score(query, image, distance) for image in gallery]
    order = sorted(range(len(gallery)), key=lambda j: -scores[j])
    return [j for j in order if not is_junk(pid, camid, pids[j], camids[j], junk_pids, ignore_same_camera)]


def match_ranks(query, pid, camid, gallery, pids, camids, **rules):
    """1-based places of the query's identity in its ranked list."""
    ranked = ranked_list(query, pid, camid, gallery, pids, camids, **rules)
    return [place for place, j in enumerate(ranked, start=1) if pids[j] == pid]


def average_precision(ranks):
    """Precision at each match: of the first `rank` images, those that match."""
    return sum(sum(r <= rank for r in ranks) / rank for rank in ranks) / len(ranks)


def inverse_negative_penalty(ranks):
    return len(ranks) / max(ranks)


def cmc(all_ranks, k):
    """Fraction of queries, of those with a match, that find one among their first k images."""
    matched = [ranks for ranks in all_ranks if ranks]
    return sum(min(ranks) <= k for ranks in matched) / len(matched)
