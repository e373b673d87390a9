"""The methods paragraph: what was done to get the figures, written from the facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tools.score.scoring import PROTOCOL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.score.scoring import Scored

SPLITS: Final = {
    "default": "the benchmark's own split",
    "strict": "the strict split: no train row has a perturbation that is tested in any cell line",
}
REFERENCES: Final = {
    "majority": "the most frequent class of the cell line, with the class shares of its train rows "
    "as probabilities.",
    "class-frequency": "a class drawn by the class shares of the cell line's train rows, which are "
    "its probabilities.",
    "gene-prior": "the class shares of the gene in the cell line's train rows (where it has none, "
    "in the other lines'), smoothed towards those of the line, whatever the perturbation.",
    "gene-prior-other-lines": "the same in the train rows of the other cell lines alone.",
    "pert-prior": "the class shares of the perturbation in the train rows of the other cell lines, "
    "smoothed likewise, whatever the gene.",
    "pair-lookup": "the labels of the same perturbation and gene in other cell lines' train rows, "
    "beside the gene prior; where there are none, the gene prior alone.",
    "knn": "the gene's labels under all other train perturbations, weighted by their nearness to "
    "this one in a knowledge graph; rows of other cell lines count half.",
}


def split_name(split: str) -> str:
    """Say in words which questions were asked.

    Args:
        split: default, strict or held_out:CELL.
    """
    kind, _, line = split.partition(":")
    if kind == "held_out":
        return f"{line} held out: trained on the other cell lines, tested on all of its rows"
    return SPLITS.get(split, split)


def intervals(rounds: int) -> str:
    """Say what the intervals are.

    Args:
        rounds: Of the bootstrap; 0 where there is none.
    """
    if not rounds:
        return "Intervals were switched off."
    return (
        f"Intervals are 95 %: {rounds:,} rounds of a Bayesian bootstrap over perturbations, which "
        "keeps the set of genes fixed."
    )


def paragraphs(scored: Scored, lines: Sequence[str], benchmark: str) -> list[str]:
    """Write the methods.

    Args:
        scored: What was scored.
        lines: The cell lines of its questions.
        benchmark: What the questions are of.
    """
    return [
        f"{len(scored.test):,} test questions of {benchmark} ({split_name(scored.split)}) in "
        f"{_listed(lines)} were answered with one of three classes: not differentially expressed, "
        "upregulated, downregulated. Every question counts: one that is unread or absent from a "
        "file is wrong, and has the probability 1/3 for each class where probabilities are ranked.",
        f"Differential expression is ranked by {PROTOCOL['de_auroc']}; direction by "
        f"{PROTOCOL['direction_auroc']}. Ties count half. Three AUROCs are given and are not "
        "comparable with one another: per gene (PerturbQA's official figure, the mean over the "
        "target genes with both classes, line by line), pooled (all rows of a cell line ranked "
        "together), and per perturbation. Over several cell lines an AUROC is their mean; all "
        "other figures are over all rows. Macro-F1 is the mean over the three classes; the "
        "calibration error has 15 bins of equal width.",
        f"{intervals(scored.rounds)} {_hardness(scored)}Reference rows are fitted on the train "
        "split alone and scored as every system is.",
    ]


def _hardness(scored: Scored) -> str:
    """Which systems rank by hard answers, and so have a single operating point."""
    hard = [name for name, system in scored.systems.items() if not system.soft]
    if not hard:
        return ""
    verb = "give hard answers" if len(hard) > 1 else "gives hard answers"
    return f"{_listed(hard)} {verb}, hence one operating point on a ROC curve. "


def _listed(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
