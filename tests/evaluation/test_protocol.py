"""Who is junk, a distractor, a match; and that a stamp tells."""

import numpy as np

from reid.evaluation import PROTOCOLS, Protocol

QUERY, CAMERA = np.array([7]), np.array([1])
GALLERY, CAMERAS = np.array([7, 7, 0, -1, 8]), np.array([1, 2, 1, 2, 1])


def judge(protocol, pids=QUERY):
    match, junk = protocol.judge(pids, GALLERY, CAMERA, CAMERAS)
    assert match.shape == junk.shape == (1, 5)
    return np.flatnonzero(match).tolist(), np.flatnonzero(junk).tolist()


def test_market1501():
    assert judge(PROTOCOLS["market1501"]) == ([1], [0, 3])


def test_no_camera():
    assert judge(PROTOCOLS["no_camera"]) == ([0, 1], [3])
    match, _ = PROTOCOLS["no_camera"].judge(QUERY, GALLERY, None, None)
    assert np.flatnonzero(match).tolist() == [0, 1]


def test_identity_zero_is_ordinary_without_the_market_rules():
    assert judge(PROTOCOLS["no_camera"], np.array([0])) == ([2], [3])


def test_a_distractor_is_neither_junk_nor_match():
    assert judge(Protocol("p", distractor_pids=frozenset({7, 8}), ignore_same_camera=False)) == ([], [3])


def test_junk_by_several_identities():
    assert judge(Protocol("p", junk_pids=frozenset({-1, 0, 8}))) == ([1], [0, 2, 3, 4])
    assert judge(Protocol("p", junk_pids=frozenset())) == ([1], [0])


def test_stamps():
    assert PROTOCOLS["market1501"].stamp("cosine") == (
        "market1501: junk -1 ignored, 0000 kept as distractors, same identity in the same camera ignored, "
        "AP = mean precision at each true match, cosine"
    )
    bare = Protocol("bare", junk_pids=frozenset(), ignore_same_camera=False)
    assert bare.stamp("euclidean") == (
        "bare: no junk, no distractors, cameras not considered, AP = mean precision at each true match, euclidean"
    )


def test_names():
    assert all(name == protocol.name for name, protocol in PROTOCOLS.items())
