"""`synthpert baseline`: what simple methods answer, fitted on the train split alone."""

from __future__ import annotations

from pathlib import Path

from synthpert import __version__
from synthpert.commands import listed, run
from synthpert.errors import InputError
from synthpert.predictions import check_suffix, write_predictions
from synthpert.questions import read_questions, split_questions
from tools.baseline.answering import BASELINES, REFERENCES, answer, check_name, references
from tools.baseline.materials import Materials

__all__ = ["BASELINES", "REFERENCES", "answer", "baseline", "main", "references"]


def main(args: list[str]) -> int:
    """Run the verb.

    Args:
        args: The command line after `baseline`.

    Returns:
        The exit code.
    """
    if args[:1] == ["summer"]:
        # It asks a language model, with the flags of `ask`.
        from tools.ask import ask_as_summer

        return ask_as_summer(args[1:])
    run("baseline", baseline, listed(args, "files"))
    return 0


def baseline(
    name: str,
    data: str | None = None,
    split: str = "default",
    out: str | None = None,
    knowledge: str | None = None,
    edges: str | None = None,
    vectors: str | None = None,
    files: list[str] | None = None,
    aliases: str | None = None,
) -> None:
    """Answer the test questions with a baseline fitted on the train split.

    Class shares: `majority`, of the cell line; `class-frequency`, drawn by them; `gene-prior` and
    `gene-prior-other-lines`, of the gene; `pert-prior`, of the perturbation in the other cell
    lines; `pair-lookup`, of both in the other cell lines. Learned: `logistic`, on the names alone;
    `genept`, on vectors of genes. With knowledge: `physical`, an edge between the genes; `knn`,
    similar train perturbations; `knn-lr` and `knn-gb`, logistic regression and gradient boosting
    on the votes of neighbours; `gat`, a graph attention network. `stack` combines quick ones, or
    prediction files. Example: synthpert baseline knn --out predictions-knn.parquet

    Args:
        name: Which baseline.
        data: Folder with the benchmark; by default SYNTHPERT_DATA, ./data/perturbqa or the sample.
        split: default, strict or held_out:CELL.
        out: A .parquet or .csv file; by default predictions-NAME.parquet.
        knowledge: Folder of gene sets and networks; by default SYNTHPERT_KNOWLEDGE,
            ./data/knowledge or the sample.
        edges: An edge list for `physical`; by default the networks of the knowledge folder.
        vectors: For `genept`: a gene and its numbers in each row, .csv, .tsv, .parquet or .npz.
        files: For `stack`: prediction files to combine.
        aliases: For `genept`: a table of gene names and synonyms, where the vectors have other
            symbols than the benchmark; an ambiguous one is told and left as it is.

    Raises:
        InputError: If there is no such baseline, split or benchmark, a file that it needs is
            wrong, or `out` cannot be written.
    """
    check_name(name)
    path = Path(out or f"predictions-{name}.parquet")
    check_suffix(path)
    folder, network, numbers, names = (
        Path(p) if p is not None else None for p in (knowledge, edges, vectors, aliases)
    )
    materials = Materials(folder, network, numbers, tuple(map(Path, files or ())), names)
    _check_flags(name, materials)
    train, test = split_questions(read_questions(data), split)
    table = answer(name, train, test, materials=materials)
    record = {"system": "baseline", "model": f"baseline/{name}", "split": split}
    write_predictions(table, path, {**record, "version": __version__})
    from rich.console import Console

    Console().print(
        f"{path}: {len(table):,} predictions by {name}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _check_flags(name: str, materials: Materials) -> None:
    """Refuse a file that the baseline would not look at."""
    given = {
        "edges": ("physical", materials.edges),
        "vectors": ("genept", materials.vectors),
        "files": ("stack", materials.files),
        "aliases": ("genept", materials.aliases),
    }
    for flag, (owner, value) in given.items():
        if value and name != owner:
            place = f"synthpert baseline {name}"
            raise InputError(f"does not use --{flag}", file=place, expected=f"only {owner} does")
