"""About two in a hundred rows of PerturbQA, in its own file layout, under its own licence."""
