"""What well-known frameworks compute, written down from their definitions: dense, one pair at a time.

Slow and obvious on purpose, and independent of ``reid`` and of the frameworks' code.
"""

import numpy as np
from reference.rerank import neighbours, squared_distances


def mean_over_hits(ranks, k):
    """open-metric-learning's map@k: precision at the hits in the first k, over the number of these hits."""
    hits = [r for r in ranks if r <= k]
    return sum(sum(h <= r for h in hits) / r for r in hits) / len(hits) if hits else 0.0


def at_r(ranks):
    """MAP@R: the precision at place i counts where place i is a hit, i = 1..R."""
    return sum(sum(r <= i for r in ranks) / i for i in range(1, len(ranks) + 1) if i in ranks) / len(ranks)


def allshots(ranks):
    """Each match alone with all negatives: how many of the matches come first."""
    return sum(not set(range(1, r)) - set(ranks) for r in ranks) / len(ranks)


def centroid_ranks(query, pid, camid, gallery, pids, camids, query_pids, query_camids):
    """Places of a query's matching centroids among those of all identities that have a query."""
    pooled = {}
    for other, camera in sorted(set(zip(query_pids, query_camids, strict=True))):
        rows = [j for j in range(len(gallery)) if pids[j] == other and camids[j] != camera]
        used = frozenset(camids[j] for j in rows)
        if rows:
            pooled[other, used] = np.float64([gallery[j] for j in rows]).mean(axis=0)
    kept = {key: row for key, row in pooled.items() if key[0] != pid or camid not in key[1]}
    cosine = {key: np.dot(query, row) / np.linalg.norm(row) for key, row in kept.items()}
    order = sorted(kept, key=lambda key: -cosine[key])
    return [place for place, key in enumerate(order, start=1) if key[0] == pid]


def reranked(query, gallery, *, distance, near=21, half=11, k2=6, u="scaled", blend="scaled", dtype=np.float64):
    """[Q, G] distances after k-reciprocal re-ranking, lambda = 0.3.

    ``near`` and ``half``: how many images, i itself among them, must hold each other. ``u``, ``blend``: the distances
    in the weights and in the sum: "scaled" by the row's maximum, "squared" after that, or "plain". ``dtype``: of the
    encodings and all that follows from them.
    """
    squared = squared_distances([*query, *gallery], distance)
    order, count = neighbours(squared), len(squared)
    kinds = {"scaled": squared / squared.max(axis=1, keepdims=True), "plain": squared, "half": squared / 2}
    kinds["squared"] = kinds["scaled"] ** 2

    def mutual(i, n):
        return {j for j in order[i][:n] if i in order[j][:n]}

    encoded = np.zeros((count, count), dtype)
    for i in range(count):
        mine = mutual(i, near)
        joined = [theirs for theirs in (mutual(j, half) for j in mine) if 3 * len(mine & theirs) > 2 * len(theirs)]
        members = sorted(mine.union(*joined))
        weights = np.exp(-kinds[u][i, members])
        encoded[i, members] = weights / weights.sum()
    encoded = np.array([np.float64(encoded[order[i][:k2]]).mean(axis=0) for i in range(count)]).astype(dtype)

    found = np.empty((len(query), len(gallery)))
    for q in range(len(query)):
        for g in range(len(query), count):
            shared = dtype(0)
            for a, b in zip(encoded[q], encoded[g], strict=True):
                shared = dtype(shared + min(a, b))
            jaccard = dtype(1) - dtype(shared / (dtype(2) - shared))
            found[q, g - len(query)] = dtype(0.7) * jaccard + 0.3 * kinds[blend][q, g]
    return found


def match_ranks(distances, pid, camid, pids, camids):
    """1-based places of the matches in one query's row, images of its identity and camera left out, junk -1 too."""
    order = sorted(range(len(pids)), key=lambda j: distances[j])
    kept = [j for j in order if pids[j] != -1 and not (pids[j] == pid and camids[j] == camid)]
    return [place for place, j in enumerate(kept, start=1) if pids[j] == pid]
