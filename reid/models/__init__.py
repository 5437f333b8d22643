"""Batch -> embedding, and logits while training."""
