"""Pairs by sorting say what the dense judgement says of every pair."""

import numpy as np
import pytest
from reference.cases import random_case

from reid.evaluation import PROTOCOLS, Labels, Protocol
from reid.evaluation.pairs import make_pairs

NAMES = ("pids", "camids", "tracks", "times", "clothes")
PAIR_PROTOCOLS = [
    *PROTOCOLS.values(),
    Protocol("strange", junk_pids=frozenset({-1, 4}), distractor_pids=frozenset({0})),
]


@pytest.mark.parametrize("protocol", PAIR_PROTOCOLS, ids=lambda p: p.name)
def test_equal_the_dense_judgement(protocol: Protocol) -> None:
    for seed in range(40):
        case = random_case(seed)
        labels = case.all_labels()
        query, gallery = (Labels(**{n: labels[f"{side}_{n}"] for n in NAMES}) for side in ("query", "gallery"))
        own = case.query_gallery_index if seed % 2 else None
        match, junk = protocol.judge(query, gallery, own)
        pairs = make_pairs(query, gallery, protocol, own)
        same = query.pids[:, None] == gallery.pids
        assert np.diff(pairs.starts).tolist() == same.sum(axis=1).tolist()
        assert [pairs.query.tolist(), pairs.gallery.tolist()] == [x.tolist() for x in np.nonzero(same)]
        assert pairs.match.tolist() == match[same].tolist()
        assert pairs.matches.tolist() == match.sum(axis=1).tolist()
        ignored = np.zeros_like(junk)
        ignored[pairs.query[~pairs.match], pairs.gallery[~pairs.match]] = True
        ignored |= pairs.left_out
        if protocol.ignore_camera:
            assert pairs.query_group is not None
            assert pairs.gallery_group is not None
            ignored |= pairs.query_group[:, None] == pairs.gallery_group
        assert (ignored == junk).all()
        assert (pairs.starts.dtype, pairs.gallery.dtype, pairs.match.dtype) == (np.int64, np.int64, np.bool_)


def test_groups_only_where_whole_cameras_are_ignored() -> None:
    labels = Labels(np.array([1]), camids=np.array([1]))
    assert make_pairs(labels, labels, PROTOCOLS["market1501"]).query_group is None


def test_no_pair_at_all() -> None:
    pairs = make_pairs(Labels(np.array([1, 2])), Labels(np.array([3, -1])), PROTOCOLS["no_camera"])
    assert pairs.starts.tolist() == [0, 0, 0]
    assert (len(pairs.gallery), len(pairs.match), pairs.left_out.tolist()) == (0, 0, [False, True])
    assert pairs.matches.tolist() == [0, 0]
