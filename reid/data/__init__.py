"""Files on disk -> a table of records -> batches."""
