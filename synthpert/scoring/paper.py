"""The SynthPert paper's way of scoring, so that its figures have something to stand beside.

The released code takes one answer a question as hard, ranks all rows of a cell line together and
scores three random 20 % subsets of the rows. None of its AUROCs can be compared with PerturbQA's
per-gene ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from synthpert.scoring.answered import answer_numbers, label_numbers
from synthpert.scoring.auroc import auroc
from synthpert.scoring.classes import CLASSES, RATES, confusion_matrix, three_class

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    from numpy.typing import NDArray

SUBSETS: Final = 3
SHARE: Final = 0.2
SEED: Final = 0
UNREAD: Final = 0.5
TITLE: Final = (
    "SynthPert paper's protocol: hard answers, pooled, mean ± sd of three random 20 % subsets"
)


def score_as_paper(tables: Sequence[pl.DataFrame], seed: int = SEED) -> dict[str, Any]:
    """Score each cell line as the paper does.

    Args:
        tables: One for each seed of the system, as `answer_questions` returns them.
        seed: Of the subsets; the same rows are drawn for every system and every one of its seeds.

    Returns:
        Cell line, and `all` for all rows together, to `n` (rows of a subset), `de_auroc` and
        `direction_auroc`, each with `pooled` alone, and the three-class figures `accuracy`,
        `macro_f1` and those of each class. A figure is `{"mean", "sd"}` over the subsets of all
        tables (the latter with n - 1), None where it does not exist. `all` has no AUROC.
    """
    first = tables[0]
    lines = first["cell_line"].unique(maintain_order=True).to_list()
    answers, labels = [answer_numbers(table) for table in tables], label_numbers(first)
    codes = first["cell_line"]
    found = {}
    for line in [*lines, "all"]:
        rows = np.arange(len(first))
        if line != "all":
            rows = (codes == line).arg_true().to_numpy()
        random = np.random.default_rng([seed, len(rows)])
        size = max(1, round(SHARE * len(rows)))
        subsets = [random.choice(rows, size, replace=False) for _ in range(SUBSETS)]
        each = [
            _figures(numbers[part], labels[part], pooled=line != "all")
            for numbers in answers
            for part in subsets
        ]
        found[line] = {"n": size, **_nested({name: _spread(each, name) for name in each[0]})}
    return found


def _figures(
    answers: NDArray[np.int64], labels: NDArray[np.int64], *, pooled: bool
) -> dict[str, float]:
    figures = three_class(confusion_matrix(answers, labels))
    found = {f"three_class.{name}": figures[name] for name in ("accuracy", "macro_f1")}
    for name in CLASSES:
        found |= {f"three_class.{name}.{rate}": figures[f"{name}_{rate}"] for rate in RATES}
    if pooled:
        changed = labels != 0
        # By answer: not DE, up, down, none (the number -1 is the last).
        de = np.array([0.0, 1.0, 1.0, UNREAD])[answers]
        up = np.array([UNREAD, 1.0, 0.0, UNREAD])[answers[changed]]
        found["de_auroc.pooled"] = auroc(de, changed)
        found["direction_auroc.pooled"] = auroc(up, labels[changed] == 1)
    return found


def _spread(each: list[dict[str, float]], name: str) -> dict[str, float] | None:
    values = np.array([figures[name] for figures in each])
    if np.isnan(values).any():
        return None
    return {"mean": float(values.mean()), "sd": float(values.std(ddof=1))}


def _nested(figures: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in figures.items():
        *above, last = name.split(".")
        place = found
        for part in above:
            place = place.setdefault(part, {})
        place[last] = value
    return found
