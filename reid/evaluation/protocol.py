"""Who is junk, who is a distractor, who counts as a match: named protocols, each with a stamp for its numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Protocol:
    """The rules under which a gallery image helps, hurts or is ignored for a query.

    Attributes:
        name: the name users write and read.
        junk_pids: gallery images with these identities are ignored for every query (bad detections).
        distractor_pids: gallery images with these identities stay in the ranking and never match.
        ignore_same_camera: an image of the query's own identity taken by the query's own camera is ignored, so that
            only re-identification across cameras is judged.

    The query's own image, where the gallery holds it, is ignored only through ``ignore_same_camera``.
    """

    name: str
    junk_pids: frozenset[int] = frozenset({-1})
    distractor_pids: frozenset[int] = frozenset()
    ignore_same_camera: bool = True

    def judge(
        self, query_pids: Ints, gallery_pids: Ints, query_camids: Ints | None, gallery_camids: Ints | None
    ) -> tuple[Bools, Bools]:
        """Sort every pair into match, junk or neither (a negative).

        Args:
            query_pids: [Q] int64.
            gallery_pids: [G] int64.
            query_camids: [Q] int64; may be None where ``ignore_same_camera`` is off.
            gallery_camids: [G] int64, likewise.

        Returns:
            (match, junk), two bool [Q, G] arrays that are never both true.

        >>> rules = Protocol("example", distractor_pids=frozenset({0}))
        >>> match, junk = rules.judge(
        ...     np.array([7]), np.array([7, 7, 0, -1, 8]), np.array([1]), np.array([1, 2, 2, 2, 1])
        ... )
        >>> match.astype(int), junk.astype(int)
        (array([[0, 1, 0, 0, 0]]), array([[1, 0, 0, 1, 0]]))
        """
        same_identity = query_pids[:, None] == gallery_pids[None, :]
        junk = np.broadcast_to(np.isin(gallery_pids, list(self.junk_pids)), same_identity.shape)
        if self.ignore_same_camera:
            assert query_camids is not None  # inputs.py told the user already
            assert gallery_camids is not None
            junk = junk | (same_identity & (query_camids[:, None] == gallery_camids[None, :]))
        distractor = np.isin(gallery_pids, list(self.distractor_pids))
        return same_identity & ~junk & ~distractor, junk

    def stamp(self, distance: str) -> str:
        """One line that stands beside every number: equal stamps may be compared, unlike stamps may not.

        >>> PROTOCOLS["no_camera"].stamp("euclidean")
        'no_camera: junk -1 ignored, no distractors, cameras not considered, AP = mean precision at each true match, euclidean'
        """  # noqa: E501
        parts = [
            f"junk {_names(self.junk_pids)} ignored" if self.junk_pids else "no junk",
            f"{_names(self.distractor_pids)} kept as distractors" if self.distractor_pids else "no distractors",
            "same identity in the same camera ignored" if self.ignore_same_camera else "cameras not considered",
            "AP = mean precision at each true match",
            distance,
        ]
        return f"{self.name}: {', '.join(parts)}"


def _names(pids: frozenset[int]) -> str:
    """Identities as Market-1501 file names spell them: -1, 0000, 0042."""
    return " ".join(f"{pid:04d}" if pid >= 0 else str(pid) for pid in sorted(pids))


# Market-1501's rules (Zheng et al., ICCV 2015) are those of most sets. "no_camera" keeps identity 0 an ordinary one:
# folders of images without cameras often number identities from 0.
PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol("market1501", distractor_pids=frozenset({0})),
        Protocol("no_camera", ignore_same_camera=False),
    )
}
