"""`synthpert score`: every figure of the benchmark, beside the reference rows and the leakage."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthpert.commands import run
from synthpert.files import whole_file
from synthpert.scoring.bootstrap import SEED
from tools.score.details import show_paper
from tools.score.scoring import ROUNDS, Protocol, Scored, score_files
from tools.score.systems import name_files
from tools.score.tables import show_cautions, show_leakage, show_scores

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Scored", "main", "name_files", "score", "score_files", "write_json"]


def main(args: list[str]) -> int:
    """Run the verb.

    Args:
        args: The command line after `score`.

    Returns:
        The exit code.
    """
    run("score", score, args)
    return 0


def score(
    files: list[str],
    data: str | None = None,
    split: str = "default",
    protocol: Protocol = "official",
    json: str | None = None,
    rounds: int = ROUNDS,
    seed: int = SEED,
    knowledge: str | None = None,
    aliases: str | None = None,
    questions: str | None = None,
    per_cell: bool = False,
    details: bool = False,
) -> None:
    """Score prediction files against the benchmark's test questions.

    Prints the three-class figures and the AUROC of differential expression and of direction, each
    per gene (PerturbQA's official one), pooled and per perturbation, with 95 % intervals from a
    bootstrap over perturbations; the same for what training has seen of the perturbation and what
    it has not; the paired difference of every two systems; the leakage audit. Reference rows
    stand below the systems always. Several seeds of one system are scored as their mean:
    NAME=PATTERN. Example: synthpert score student='runs/seed*/predictions.parquet' other.csv

    Args:
        files: Prediction files, .parquet or .csv; NAME=PATTERN for several seeds of one system.
        data: Folder with the benchmark; by default SYNTHPERT_DATA, ./data/perturbqa or the sample.
        split: default, strict or held_out:CELL.
        protocol: official, or synthpert for the paper's way: hard answers, pooled, three random
            20 % subsets. Its figures cannot be compared with the official ones.
        json: Write every figure to this file too.
        rounds: Bootstrap rounds; 0 for no intervals.
        seed: Of the bootstrap and of the paper's subsets.
        knowledge: Folder of knowledge files; by default SYNTHPERT_KNOWLEDGE, ./data/knowledge or
            the sample.
        aliases: A table of gene names and synonyms, for files with other symbols than the
            benchmark's; an ambiguous symbol is told and left as it is.
        questions: Score all on the questions of this table alone (cell_line, pert, gene; a
            prediction file will do): of a model that was asked only some of them.
        per_cell: Also a row for each cell line.
        details: Also each class, confusion, calibration, abstention, and how well genes are known.

    Raises:
        InputError: If a file, the benchmark or the split is wrong, or `json` cannot be written.
    """
    scored = score_files(
        files,
        data=data,
        split=split,
        knowledge=knowledge,
        rounds=rounds,
        protocol=protocol,
        aliases=aliases,
        questions=questions,
        seed=seed,
    )
    if json is not None:
        write_json(scored.to_json(), json)
    if protocol == "synthpert":
        show_cautions(scored)
        show_paper(scored)
        show_leakage(scored)
    else:
        show_scores(scored, per_cell=per_cell, details=details)


def write_json(scores: Mapping[str, Any], path: Path | str) -> None:
    """Write score.json whole or not at all.

    Args:
        scores: The figures; None where one does not exist.
        path: The file; its folder is made where needed.

    Raises:
        InputError: If it cannot be written.
    """
    text = dumps(scores, indent=1, allow_nan=False, ensure_ascii=False)
    with whole_file(Path(path)) as place:
        place.write_text(f"{text}\n", encoding="utf-8")
