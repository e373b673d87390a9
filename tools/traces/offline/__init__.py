"""Teachers and critics that are no language models: free, deterministic, without a network."""
