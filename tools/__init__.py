"""Programs that run once, outside Lightning: one module or folder a verb."""
