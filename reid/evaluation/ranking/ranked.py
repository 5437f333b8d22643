"""From inputs to ranks: whatever unit the protocol ranks."""

from __future__ import annotations

from reid.errors import UserError
from reid.evaluation.inputs import Inputs
from reid.evaluation.labels import Ints
from reid.evaluation.ranking.ranks import match_ranks
from reid.evaluation.ranking.tracks import track_numbers, track_ranks
from reid.evaluation.reranking.rerank import Rerank, reranked_match_ranks


def ranks_of(inputs: Inputs, route: str = "auto", rerank: Rerank | None = None) -> tuple[list[Ints], int]:
    """(one ascending int64 array of 1-based ranks a query, the number of images or tracks in the gallery)."""
    if rerank is not None:
        if inputs.protocol.gallery_unit == "track":
            raise UserError(f"protocol {inputs.protocol.name} ranks tracks, and re-ranking is of images; leave it out")
        ranks = reranked_match_ranks(inputs.query, inputs.gallery, inputs.pairs, rerank, inputs.distance)
        return ranks, inputs.features.rows
    if inputs.protocol.gallery_unit == "track":
        tracks = track_numbers(inputs.gallery_labels)
        ranks = track_ranks(inputs.query, inputs.features, inputs.pairs, tracks, inputs.distance)
        return ranks, int(tracks.max()) + 1
    ranks = match_ranks(inputs.query, inputs.features, inputs.pairs, inputs.distance, route=route)
    return ranks, inputs.features.rows
