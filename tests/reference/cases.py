"""Small random re-identification problems, many of them nasty: ties, copies, zeros, cancellation, extreme norms."""

from dataclasses import dataclass

import numpy as np

KINDS = ("normal", "quantised", "copies", "scaled copies", "nearly equal", "equal", "some zeros", "far off", "extreme")


@dataclass(frozen=True)
class Case:
    query: np.ndarray
    gallery: np.ndarray
    query_pids: np.ndarray
    gallery_pids: np.ndarray
    query_camids: np.ndarray
    gallery_camids: np.ndarray
    distance: str
    query_tracks: np.ndarray
    gallery_tracks: np.ndarray
    query_times: np.ndarray
    gallery_times: np.ndarray
    query_clothes: np.ndarray
    gallery_clothes: np.ndarray
    query_gallery_index: np.ndarray

    def arguments(self):
        """Positional and keyword arguments of ``evaluate`` and ``ranked_gallery``."""
        labels = ("query_pids", "gallery_pids", "query_camids", "gallery_camids", "distance")
        return (self.query, self.gallery), {name: getattr(self, name) for name in labels}

    def all_labels(self):
        """Every label by its argument's name, for the protocols that look at more than identity and camera."""
        return {name: value for name, value in vars(self).items() if name not in ("query", "gallery", "distance")}

    def rest_of(self, query, own=True):
        """What else the brute force knows: the keyword arguments ``of_query`` and ``of_gallery``."""
        kinds = {"track": "tracks", "time": "times", "clothes": "clothes"}
        of_query = {kind: getattr(self, f"query_{name}")[query].item() for kind, name in kinds.items()}
        of_gallery = {kind: getattr(self, f"gallery_{name}").tolist() for kind, name in kinds.items()}
        if own:
            of_query["place"] = int(self.query_gallery_index[query])
        return {"of_query": of_query, "of_gallery": of_gallery}

    def query_rows(self):
        """For each query the positional arguments of the functions in ``brute_force``."""
        for q, pid, camid in zip(self.query, self.query_pids, self.query_camids, strict=True):
            yield q, int(pid), int(camid), self.gallery, self.gallery_pids.tolist(), self.gallery_camids.tolist()


def features_of(rng, kind, count, dimensions):
    normal = rng.standard_normal((count, dimensions))
    few = rng.standard_normal((3, dimensions))[rng.integers(0, 3, count)]
    return {
        "normal": normal,
        "quantised": rng.integers(-1, 2, (count, dimensions)),
        "copies": few,
        "scaled copies": few * 2.0 ** rng.integers(-3, 4, (count, 1)),
        "nearly equal": few[:1] * (1 + 1e-7 * rng.integers(-1, 2, (count, dimensions))),
        "equal": np.repeat(few[:1], count, axis=0),
        "some zeros": normal * rng.integers(0, 2, (count, 1)),
        "far off": 100 + 1e-4 * normal,
        "extreme": normal * 10.0 ** rng.integers(-36, 37, (count, 1)),
    }[kind].astype(np.float64)


def random_case(seed):
    """A problem of 1-6 queries, 1-40 gallery images, 1-300 dimensions, every kind of features, dtype and distance."""
    rng = np.random.default_rng(seed)
    kind, distance = KINDS[seed % len(KINDS)], ("cosine", "euclidean")[seed // len(KINDS) % 2]
    dtype = np.float32 if kind == "extreme" else rng.choice([np.float16, np.float32, np.float64])
    queries, images = int(rng.integers(1, 7)), int(rng.integers(1, 41))
    features = features_of(rng, kind, queries + images, int(rng.choice([1, 2, 3, 16, 129, 300]))).astype(dtype)
    cameras = int(rng.integers(1, 4))
    query_pids, gallery_pids = rng.integers(1, 4, queries), rng.integers(-1, 5, images)
    query_camids, gallery_camids = rng.integers(0, cameras, queries), rng.integers(0, cameras, images)
    gallery_tracks = 4 * gallery_camids + rng.integers(0, 3, images)  # a track has one camera
    same = [np.flatnonzero(gallery_pids == pid) for pid in query_pids]
    return Case(
        features[:queries],
        features[queries:],
        query_pids,
        gallery_pids,
        query_camids,
        gallery_camids,
        distance,
        query_tracks=4 * query_camids + rng.integers(0, 3, queries),
        gallery_tracks=gallery_tracks,
        query_times=rng.integers(0, 1000, queries) / 2,
        gallery_times=rng.integers(0, 1000, images) / 2,
        query_clothes=rng.integers(0, 2, queries),
        gallery_clothes=rng.integers(0, 2, images),
        query_gallery_index=np.array([rng.choice([-1, *places]) for places in same]),
    )
