"""A large batch in the memory of a small one: gradient caching (trainer.chunk)."""

from contextlib import nullcontext

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from reid.models.backbones.backbone import keep_statistics
from reid.models.embedder import Embedder


def classify_in_chunks(
    embedder: Embedder, images: Tensor, camids: Tensor, *, size: int
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """``Embedder.classify``, keeping the activations of ``size`` images at a time (Gao et al., Scaling Deep Contrastive
    Learning Batch Size under Memory Limited Setup, RepL4NLP 2021).

    The batch is embedded chunk by chunk without activations. When the gradient of the losses on all embeddings is
    known, each chunk is embedded again, with the random numbers it had, and its gradient goes through: two forward
    passes instead of one. Chunks differ in size by one image at most; BNNeck and classifier see the whole batch.

    Gradients are those of the whole batch, but for batch normalisation in the backbone: while it trains, its mean and
    variance are those of a chunk. Its running statistics move once for each.
    """
    parts, again = -(-len(images) // size), lambda: (nullcontext(), keep_statistics([embedder.backbone]))
    pooled = [
        checkpoint(embedder.pooled, *chunk, use_reentrant=False, context_fn=again)
        for chunk in zip(images.tensor_split(parts), camids.tensor_split(parts), strict=True)
    ]
    feature = torch.cat(pooled)
    return feature, embedder.classifier(embedder.bnneck(feature)), []
