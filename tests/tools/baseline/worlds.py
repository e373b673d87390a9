"""Small worlds in which it is known what a baseline should find."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from synthpert.questions import LABEL_DTYPE, LABELS

NOT_DE, UP, DOWN = (label.value for label in LABELS)
P = ("p_not_de", "p_up", "p_down")
SAMPLE = Path(__file__).parents[3] / "synthpert" / "sample"
LINES = ("k562", "rpe1", "jurkat")
PERTS = tuple(f"P{number}" for number in range(24))
GENES = tuple(f"G{number}" for number in range(20))


def questions(*rows: tuple[str, str, str, str]) -> pl.DataFrame:
    schema = {"cell_line": pl.String, "pert": pl.String, "gene": pl.String, "label": LABEL_DTYPE}
    return pl.DataFrame(rows, schema=schema, orient="row")


def modules(noise: float = 0.1, seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Knockdowns of even number raise even genes and lower odd ones; the others do nothing.

    A quarter of the perturbations of each line is tested; some of them in every line.
    """
    generator = np.random.default_rng(seed)
    train, test = [], []
    for place, line in enumerate(LINES):
        for number, pert in enumerate(PERTS):
            tested = number in (0, 1) or number % 8 in (2 * place + 1, 2 * place + 2)
            for other, gene in enumerate(GENES):
                label = NOT_DE if number % 2 else (DOWN if other % 2 else UP)
                if generator.random() < noise:
                    label = LABELS[generator.integers(3)].value
                (test if tested else train).append((line, pert, gene, label))
    return questions(*train), questions(*test)


def write_knowledge(folder: Path) -> Path:
    """Sets that hold the perturbations of one effect, and edges between some genes."""
    folder.mkdir(parents=True, exist_ok=True)
    sets = [
        *(("even", PERTS[0::2]), ("odd", PERTS[1::2])),
        *(("even genes", GENES[0::2]), ("odd genes", GENES[1::2]), ("rest", ("X", "Y", "Z"))),
    ]
    lines = ["\t".join([name, "", *genes]) for name, genes in sets]
    (folder / "modules.gmt").write_text("\n".join(lines) + "\n")
    edges = [f"{PERTS[number]}\t{PERTS[number + 2]}" for number in range(len(PERTS) - 2)]
    edges += ["P0\tG0", "G1\tP3", "P0\tNOBODY"]
    (folder / "network.tsv").write_text("\n".join(["gene1\tgene2", *edges]) + "\n")
    return folder
