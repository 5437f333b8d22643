"""Embeddings and labels -> a scalar; each file one loss."""
