"""Who is junk, who is a distractor, who counts as a match: one frozen object, with a stamp for its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from reid.errors import UserError
from reid.evaluation.labels import Bools, Ints, Labels

Distance = Literal["cosine", "euclidean"]
APRule = Literal["precision_at_hit", "trapezoid"]
Unit = Literal["image", "track"]


@dataclass(frozen=True)
class Protocol:
    """Everything that decides a number but the features: which gallery images help, hurt or are ignored, and the rest.

    ``dataclasses.replace`` makes another; ``stamp`` tells what applies. An image that is ignored for a query is as
    good as absent: it takes no rank.

    Attributes:
        name: the name users write and read.
        junk_pids: gallery images with these identities are ignored for every query (bad detections).
        distractor_pids: gallery images with these identities stay in the ranking and never match.
        ignore_same_camera: an image of the query's own identity taken by the query's own camera is ignored, so that
            only re-identification across cameras is judged.
        ignore_camera: every image taken by the query's own camera is ignored, whatever its identity.
        ignore_same_track: an image of the query's own identity and track is ignored.
        ignore_within: an image of the query's own identity taken less than this before or after it is ignored, in the
            unit of the times; 0 ignores none.
        ignore_same_clothes: an image of the query's own identity in the query's own clothes is ignored.
        ignore_own_image: the query image itself is ignored where it stands in the gallery too; ``evaluate`` switches
            this on when ``query_gallery_index`` says where.
        gallery_unit: what is ranked: "image", or "track": a track scores as the best of its images.
        trials: single shot: how often one image an identity is drawn to be the gallery; 0 takes the whole gallery.
        seed: of the draws.
        average_precision: "precision_at_hit" or "trapezoid"; see ``metrics.average_precision``.
        distance: "cosine" or "euclidean".
        feature, normalisation, flip, reranking, expansion: what was done to features and scores before and beside the
            ranking, in words, put here by whoever did it; empty where nothing was.
        data: fingerprint of the data set, likewise.
        about: where the protocol comes from; not part of the stamp.
    """

    name: str
    junk_pids: frozenset[int] = frozenset({-1})
    distractor_pids: frozenset[int] = frozenset()
    ignore_same_camera: bool = True
    ignore_camera: bool = False
    ignore_same_track: bool = False
    ignore_within: float = 0
    ignore_same_clothes: bool = False
    ignore_own_image: bool = False
    gallery_unit: Unit = "image"
    trials: int = 0
    seed: int = 0
    average_precision: APRule = "precision_at_hit"
    distance: Distance = "cosine"
    feature: str = ""
    normalisation: str = ""
    flip: str = ""
    reranking: str = ""
    expansion: str = ""
    data: str = ""
    about: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        for name, kind in (("distance", Distance), ("average_precision", APRule), ("gallery_unit", Unit)):
            value = getattr(self, name)
            if value not in get_args(kind):
                raise UserError(f"{name}={value!r} is unknown; choose one of {', '.join(get_args(kind))}")
        for name in ("trials", "seed", "ignore_within"):
            if not getattr(self, name) >= 0:
                raise UserError(f"{name}={getattr(self, name)} of protocol {self.name} must be 0 or more")
        if self.trials and self.gallery_unit == "track":
            raise UserError(
                f"protocol {self.name} draws images and ranks tracks; choose trials=0 or gallery_unit='image'"
            )

    @property
    def needs(self) -> dict[str, str]:
        """The labels that both sides must have, each with what the protocol does with it."""
        rules = {
            "camids": "ignores images of the query's own camera" if self.ignore_camera else self._of_own("camera"),
            "tracks": self._of_own("track"),
            "times": f"ignores matches taken less than {self.ignore_within:g} from the query",
            "clothes": self._of_own("clothes"),
        }
        on = {
            "camids": self.ignore_same_camera or self.ignore_camera,
            "tracks": self.ignore_same_track,
            "times": self.ignore_within > 0,
            "clothes": self.ignore_same_clothes,
        }
        return {name: rule for name, rule in rules.items() if on[name]}

    def _of_own(self, what: str) -> str:
        return f"ignores matches of the query's own {what}"

    def rules(self, query: Labels, gallery: Labels) -> Mapping[str, Bools]:
        """Which pairs of the same identity each rule ignores, by the rule's name: camera, track, time, clothes.

        Labels are compared elementwise: pair by pair, or every pair in the shapes of ``Labels.against``.
        """
        # Where a rule is on, inputs.py has made sure of its labels.
        found: dict[str, Bools] = {}
        if self.ignore_same_camera or self.ignore_camera:
            found["camera"] = query.camids == gallery.camids  # type: ignore[assignment]
        if self.ignore_same_track:
            found["track"] = query.tracks == gallery.tracks  # type: ignore[assignment]
        if self.ignore_within > 0:
            found["time"] = np.abs(query.times - gallery.times) < self.ignore_within  # type: ignore[operator]
        if self.ignore_same_clothes:
            found["clothes"] = query.clothes == gallery.clothes  # type: ignore[assignment]
        return found

    def ignored(self, query: Labels, gallery: Labels) -> Bools:
        """Which pairs of the same identity are ignored, the query's own image aside; compared as in ``rules``.

        >>> rules = Protocol("example", ignore_same_camera=False, ignore_within=60)
        >>> pids = np.array([7, 7])
        >>> rules.ignored(Labels(pids, times=np.zeros(2)), Labels(pids, times=np.array([59.0, 60.0])))
        array([ True, False])
        """
        ignored = np.zeros(np.broadcast_shapes(query.pids.shape, gallery.pids.shape), dtype=np.bool_)
        for pairs in self.rules(query, gallery).values():
            ignored |= pairs
        return ignored

    def judge(self, query: Labels, gallery: Labels, own: Ints | None = None) -> tuple[Bools, Bools]:
        """Sort every pair into match, junk or neither (a negative). For small sets: see ``make_pairs`` for large ones.

        Args:
            query: of Q images.
            gallery: of G images.
            own: [Q] int64, the place of each query in the gallery, -1 where it has none.

        Returns:
            (match, junk), two bool [Q, G] arrays that are never both true.

        >>> rules = Protocol("example", distractor_pids=frozenset({0}))
        >>> gallery = Labels(np.array([7, 7, 0, -1, 8]), camids=np.array([1, 2, 2, 2, 1]))
        >>> match, junk = rules.judge(Labels(np.array([7]), camids=np.array([1])), gallery)
        >>> match.astype(int), junk.astype(int)
        (array([[0, 1, 0, 0, 0]]), array([[1, 0, 0, 1, 0]]))
        """
        every_query, every_image = query.against(gallery)
        same_identity = every_query.pids == every_image.pids
        junk = same_identity & self.ignored(every_query, every_image)
        if self.ignore_camera:
            junk |= every_query.camids == every_image.camids
        if own is not None:
            there = np.flatnonzero(own >= 0)
            junk[there, own[there]] = True
        junk |= np.isin(every_image.pids, list(self.junk_pids))
        distractor = np.isin(every_image.pids, list(self.distractor_pids))
        return same_identity & ~junk & ~distractor, junk

    @property
    def stamp(self) -> str:
        """One line that stands beside every number: equal stamps may be compared, unlike stamps may not.

        >>> Protocol("mine", junk_pids=frozenset(), ignore_same_camera=False, average_precision="trapezoid").stamp
        'mine: no junk, no distractors, cameras not considered, AP = trapezoid rule, cosine'
        """
        return f"{self.name}: {', '.join(self._parts()[1:])}"

    def difference(self, other: Protocol) -> str:
        """The parts of the two stamps that are unlike, in words; empty where the stamps are equal.

        >>> Protocol("mine").difference(Protocol("mine", distance="euclidean"))
        'a has [cosine] where b has [euclidean]'
        """
        mine, theirs = self._parts(), other._parts()
        only = ["; ".join(part for part in a if part not in b) for a, b in ((mine, theirs), (theirs, mine))]
        return f"a has [{only[0]}] where b has [{only[1]}]" if any(only) else ""

    def _parts(self) -> list[str]:
        """The name and every rule that is on, in words."""
        cameras = "same identity in the same camera ignored" if self.ignore_same_camera else "cameras not considered"
        rule = "mean precision at each true match" if self.average_precision == "precision_at_hit" else "trapezoid rule"
        made = {"feature": self.feature, "normalised": self.normalisation, "flip": self.flip}
        made |= {"re-ranked": self.reranking, "expanded": self.expansion, "data": self.data}
        parts = {
            self.name: True,
            f"junk {_names(self.junk_pids)} ignored" if self.junk_pids else "no junk": True,
            f"{_names(self.distractor_pids)} kept as distractors" if self.distractor_pids else "no distractors": True,
            "the query's camera ignored" if self.ignore_camera else cameras: True,
            "same identity in the same track ignored": self.ignore_same_track,
            f"same identity less than {self.ignore_within:g} apart in time ignored": self.ignore_within > 0,
            "same identity in the same clothes ignored": self.ignore_same_clothes,
            "own image ignored": self.ignore_own_image,
            "tracks ranked by their best image": self.gallery_unit == "track",
            f"one image an identity drawn in {self.trials} trials from seed {self.seed}": self.trials > 0,
            f"AP = {rule}": True,
            self.distance: True,
            **{f"{what}: {how}": bool(how) for what, how in made.items()},
        }
        return [part for part, on in parts.items() if on]


def _names(pids: frozenset[int]) -> str:
    """Identities as Market-1501 file names spell them: -1, 0000, 0042."""
    return " ".join(f"{pid:04d}" if pid >= 0 else str(pid) for pid in sorted(pids))
