"""Which pairs of cameras a model finds hard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from reid.errors import UserError
from reid.evaluation.inputs import Inputs, check_inputs
from reid.evaluation.labels import Floats, Ints
from reid.evaluation.metrics import average_precisions
from reid.evaluation.protocol import Protocol
from reid.evaluation.ranking.ranked import ranks_of
from reid.evaluation.reasons import nothing_to_score


@dataclass(frozen=True, eq=False)
class CameraMatrix:
    """The mAP of every query camera in every gallery camera, as fractions.

    Attributes:
        query_camids: [A] int64, the query cameras, ascending: the rows.
        gallery_camids: [B] int64, the gallery cameras, ascending: the columns.
        mAP: [A, B] float64; NaN where no query has a match.
        queries: [A, B] int64, the number of queries with a match, over which the mean is taken.
        stamp: the protocol.
    """

    query_camids: Ints
    gallery_camids: Ints
    mAP: Floats  # noqa: N815, the field's own spelling
    queries: Ints
    stamp: str

    def to_dict(self) -> dict[str, Any]:
        """Lists for JSON; None where no query has a match."""
        return {
            "query_camids": self.query_camids.tolist(),
            "gallery_camids": self.gallery_camids.tolist(),
            "mAP": [[None if np.isnan(value) else value for value in row] for row in self.mAP.tolist()],
            "queries": self.queries.tolist(),
            "protocol": self.stamp,
        }

    def __str__(self) -> str:
        """A table of mAP in percent, query cameras downwards, the protocol beneath."""
        rows = [["mAP", *map(str, self.gallery_camids)]]
        for camera, cells in zip(self.query_camids, self.mAP, strict=True):
            rows.append([str(camera), *("-" if np.isnan(cell) else f"{cell:.2%}" for cell in cells)])
        table = [" ".join(f"{text:>8}" for text in row) for row in rows]
        return "\n".join((*table, "query cameras downwards, gallery cameras across", self.stamp))


def by_camera(
    query_features: Any,
    gallery_features: Any,
    *,
    query_pids: Any,
    gallery_pids: Any = None,
    query_camids: Any,
    gallery_camids: Any = None,
    protocol: str | Protocol = "market1501",
    **options: Any,
) -> CameraMatrix:
    """Evaluate every query camera in every gallery camera: a cell judges as if the gallery had that camera alone.

    Ranks in one camera do not follow from ranks in all of them, since negatives of other cameras stand between; so each
    camera's images are ranked anew, exactly as by ``evaluate``, distractors and junk of that camera included. That
    takes about as long as one evaluation, the cameras together being one gallery.

    With a protocol that ignores matches of the query's own camera the diagonal is empty. Cells hold different queries
    and galleries of different lengths, and a shorter gallery is an easier one: compare models in a cell rather than
    cells in a row.

    Args:
        query_features: as for ``evaluate``, and so are the others; camera ids are needed under every protocol.
        options: the other labels and the distance and AP rule of ``evaluate``.

    Raises:
        UserError: camera ids are missing, an argument is wrong as for ``evaluate``, no query has a true match, or the protocol
            draws its gallery.

    >>> labels = dict(query_pids=[1, 2], gallery_pids=[1, 2, 1, 2], query_camids=[1, 2], gallery_camids=[2, 1, 3, 3])
    >>> print(by_camera([[0.0], [0.0]], [[1.0], [2.0], [3.0], [4.0]], **labels, distance="euclidean"))
         mAP        1        2        3
           1        -  100.00%  100.00%
           2  100.00%        -   50.00%
    query cameras downwards, gallery cameras across
    market1501: junk -1 ignored, 0000 kept as distractors, same identity in the same camera ignored, AP = mean precision at each true match, euclidean
    """  # noqa: E501
    inputs = check_inputs(
        query_features,
        gallery_features,
        query_pids=query_pids,
        gallery_pids=gallery_pids,
        query_camids=query_camids,
        gallery_camids=gallery_camids,
        protocol=protocol,
        **options,
    )
    return camera_matrix(inputs)


def camera_matrix(inputs: Inputs) -> CameraMatrix:
    """``by_camera`` on what ``check_inputs`` made."""
    if inputs.query_camids is None or inputs.gallery_camids is None:
        raise UserError("a camera matrix needs query_camids and gallery_camids under every protocol; give both")
    if inputs.protocol.trials:
        raise UserError(f"protocol {inputs.protocol.name} draws its gallery, and a drawn one has no camera matrix")
    query_cameras, row_of = np.unique(inputs.query_camids, return_inverse=True)
    gallery_cameras = np.unique(inputs.gallery_camids)
    sums = np.zeros((len(query_cameras), len(gallery_cameras)))
    queries = np.zeros(sums.shape, dtype=np.int64)
    for column, camera in enumerate(gallery_cameras):
        images = np.flatnonzero(inputs.gallery_camids == camera)
        hopeful = np.flatnonzero(np.isin(inputs.query_pids, inputs.gallery_pids[images]))
        if not len(hopeful):
            continue
        ranks, _ = ranks_of(inputs.select(hopeful, images))
        counts = np.array([len(r) for r in ranks])
        ap = average_precisions(np.concatenate(ranks), counts, inputs.protocol.average_precision)
        matched = counts > 0
        np.add.at(sums[:, column], row_of[hopeful[matched]], ap[matched])
        np.add.at(queries[:, column], row_of[hopeful[matched]], 1)
    if not queries.any():
        raise UserError(nothing_to_score(inputs))
    means = np.full(sums.shape, np.nan)
    np.divide(sums, queries, out=means, where=queries > 0)
    return CameraMatrix(query_cameras, gallery_cameras, means, queries, inputs.protocol.stamp)
