"""Lightning data modules: teacher traces and raw tuples."""
