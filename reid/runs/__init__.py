"""A run from start to end: train, judge, and the folder that keeps what came out."""
