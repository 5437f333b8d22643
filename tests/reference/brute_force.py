"""Re-identification metrics as their definitions read: every pair scored alone in float64, every gallery sorted.

Slow and obvious on purpose, and independent of ``reid``: the tests of the fast path compare with these functions.
"""

import math

import numpy as np


def score(query, image, distance):
    """Similarity of two feature rows, larger is better; their float32 values in float64, every sum rounded once."""
    q, g = np.float32(query).astype(np.float64).tolist(), np.float32(image).astype(np.float64).tolist()
    if distance == "euclidean":
        return -math.fsum((a - b) * (a - b) for a, b in zip(q, g, strict=True))
    norms = math.sqrt(math.fsum(a * a for a in q)) * math.sqrt(math.fsum(b * b for b in g))
    return math.fsum(a * b for a, b in zip(q, g, strict=True)) / norms if norms > 0 else 0.0


def is_junk(
    query,
    image,
    *,
    junk_pids=(-1,),
    ignore_same_camera=True,
    ignore_camera=False,
    ignore_same_track=False,
    ignore_within=0,
    ignore_same_clothes=False,
):
    """Whether a gallery image is ignored for a query; both are dicts of what is known of them."""
    if image["pid"] in junk_pids:
        return True
    if ignore_camera and image["camid"] == query["camid"]:
        return True
    if image["pid"] != query["pid"]:
        return False
    return bool(
        (ignore_same_camera and image["camid"] == query["camid"])
        or (ignore_same_track and image["track"] == query["track"])
        or (ignore_within and abs(image["time"] - query["time"]) < ignore_within)
        or (ignore_same_clothes and image["clothes"] == query["clothes"])
        or image["place"] == query.get("place", -1)
    )


def ranked_list(query, pid, camid, gallery, pids, camids, *, distance, of_query=None, of_gallery=None, **rules):
    """All gallery indices but junk, best first; sorted() is stable, so a tie goes to the lower index.

    ``of_query`` and ``of_gallery`` hold what else the rules look at: track, time, clothes, and of the query its place
    in the gallery; of the gallery a list each.
    """
    asked = {"pid": pid, "camid": camid, **(of_query or {})}
    scores = [score(query, image, distance) for image in gallery]
    order = sorted(range(len(gallery)), key=lambda j: -scores[j])
    kept = []
    for j in order:
        image = {"pid": pids[j], "camid": camids[j], "place": j, **{k: v[j] for k, v in (of_gallery or {}).items()}}
        if not is_junk(asked, image, **rules):
            kept.append(j)
    return kept


def match_ranks(query, pid, camid, gallery, pids, camids, **rules):
    """1-based places of the query's identity in its ranked list."""
    ranked = ranked_list(query, pid, camid, gallery, pids, camids, **rules)
    return [place for place, j in enumerate(ranked, start=1) if pids[j] == pid]


def track_ranks(query, pid, camid, gallery, pids, camids, **rules):
    """1-based places of the query's tracks among all tracks, each standing where its best image stands.

    Of tracks that score alike the one whose first image stands first in the gallery, ignored images too, is before.
    """
    tracks = list(zip(pids, rules["of_gallery"]["track"], strict=True))
    best = {}
    for j in ranked_list(query, pid, camid, gallery, pids, camids, **rules):
        value = score(query, gallery[j], rules["distance"])
        best[tracks[j]] = max(value, best.get(tracks[j], -math.inf))
    ranked = sorted(best, key=lambda track: (-best[track], tracks.index(track)))
    return [place for place, track in enumerate(ranked, start=1) if track[0] == pid]


def average_precision(ranks):
    """Precision at each match: of the first `rank` images, those that match."""
    return sum(sum(r <= rank for r in ranks) / rank for rank in ranks) / len(ranks)


def trapezoid_average_precision(ranks):
    """Walk down the list; each step in recall counts with the mean of the precisions before and after it."""
    area, recall, precision, found = 0.0, 0.0, 1.0, 0
    for place in range(1, max(ranks) + 1):
        found += place in ranks
        area += (found / len(ranks) - recall) * (precision + found / place) / 2
        recall, precision = found / len(ranks), found / place
    return area


def inverse_negative_penalty(ranks):
    return len(ranks) / max(ranks)


def cmc(all_ranks, k):
    """Fraction of queries, of those with a match, that find one among their first k images."""
    matched = [ranks for ranks in all_ranks if ranks]
    return sum(min(ranks) <= k for ranks in matched) / len(matched)
