"""What may be done beside plain ranking: k-reciprocal re-ranking (``rerank``) and query expansion (``expansion``)."""
