"""`synthpert score`: every figure of the benchmark, beside the reference rows and the leakage."""

from __future__ import annotations

from collections import Counter
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from synthpert.commands import run
from synthpert.display import show
from synthpert.errors import InputError
from synthpert.files import whole_file
from synthpert.predictions import is_soft, read_predictions
from synthpert.questions import leakage, read_questions, split_questions
from synthpert.scores import answer_questions, score_cells
from tools.baseline import BASELINES, answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

PROTOCOL: Final = {
    "de_auroc": "1 - p_not_de, over all rows",
    "direction_auroc": "p_up / (p_up + p_down), or 0.5 where both are 0, over the truly "
    "differentially expressed rows",
    "per_gene": "PerturbQA's own: the mean over the target genes with both classes, line by line",
    "per_perturbation": "likewise over the perturbations",
    "pooled": "all rows of a cell line ranked together",
    "all": "an AUROC is the mean over the cell lines; everything else is over all rows",
    "unanswered": "a question unread or not in the file is wrong, with probability 1/3 per class",
    "ece": "15 bins of equal width of the highest probability",
    "intervals": False,
}
AUROC_HEADER: Final = (
    "per gene (official)",
    "pooled",
    "per perturbation",
    "genes counted",
    "rows counted",
)
PER_CLASS: Final = {"precision": "prec.", "recall": "recall", "f1": "F1"}
CLASS_NAMES: Final = {"not_de": "not DE", "up": "up", "down": "down"}


def main(args: list[str]) -> int:
    """Run the verb.

    Args:
        args: The command line after `score`.

    Returns:
        The exit code.
    """
    # a switch: typed alone it means true
    run("score", score, ["--per_cell=true" if arg == "--per-cell" else arg for arg in args])
    return 0


def score(
    files: list[str],
    data: str | None = None,
    split: str = "default",
    json: str | None = None,
    per_cell: bool = False,
) -> None:
    """Score prediction files against the benchmark's test questions.

    Prints four tables and the leakage audit: the answers, each class, and the AUROC of differential
    expression and of direction, each per gene (PerturbQA's official one), pooled and per
    perturbation. The majority class and the gene prior stand below as references.
    Example: synthpert score predictions.parquet --json score.json

    Args:
        files: Prediction files, .parquet or .csv.
        data: Folder with the benchmark; by default SYNTHPERT_DATA, ./data/perturbqa or the sample.
        split: default, strict or held_out:CELL.
        json: Write every figure to this file too.
        per_cell: Also a row for each cell line (`--per-cell` alone will do).

    Raises:
        InputError: If a file, the benchmark or the split is wrong, or `json` cannot be written.
    """
    named = name_files(files)
    tables = {name: read_predictions(path, text=False) for name, path in named.items()}
    train, test = split_questions(read_questions(data), split)
    if test.is_empty():
        raise InputError("no test question to score", file="split", got=split)
    scored, hard = {}, []
    for name, predictions in tables.items():
        soft = is_soft(predictions)
        if not soft:
            hard.append(name)
        result = score_cells(answer_questions(test, predictions, named[name]))
        scored[name] = {**result, "protocol": {"split": split, "soft": soft, **PROTOCOL}}
    references = {
        name: score_cells(answer_questions(test, answer(name, train, test))) for name in BASELINES
    }
    audit = leakage(train, test).fill_nan(None)
    leaks = {row.pop("cell_line"): row for row in audit.to_dicts()}
    for result in scored.values():
        result["leakage"] = leaks
    if json is not None:
        write_json({"files": scored, "reference_rows": references}, json)
    systems = scored | {f"{name} (reference)": rows for name, rows in references.items()}
    _show_scores(systems, split, hard, per_cell=per_cell)
    _show_leakage(audit)


def name_files(files: Sequence[str]) -> dict[str, Path]:
    """Name prediction files by their stems, with the folder before it where two are the same.

    Args:
        files: Paths.

    Returns:
        Name to path, in the order of `files`.

    Raises:
        InputError: If two files cannot be told apart even so.
    """
    paths = [Path(file) for file in files]
    stems = [path.name.removesuffix(".gz").rpartition(".")[0] or path.name for path in paths]
    times = Counter(stems)
    names = [
        stem if times[stem] == 1 else f"{path.absolute().parent.name}/{stem}"
        for stem, path in zip(stems, paths, strict=True)
    ]
    for name, path in zip(names, paths, strict=True):
        if names.count(name) > 1:
            raise InputError("two files have the same name and folder name", file=path, got=name)
    return dict(zip(names, paths, strict=True))


def write_json(scores: dict[str, Any], path: Path | str) -> None:
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


def _show_scores(
    systems: dict[str, dict[str, Any]], split: str, hard: list[str], *, per_cell: bool
) -> None:
    blocks = [
        ([name, cell] if per_cell else [name], block)
        for name, result in systems.items()
        for cell, block in ({"all": result["all"]} | (result["cells"] if per_cell else {})).items()
    ]
    first = ["system", "cell line"] if per_cell else ["system"]
    rates = ("accuracy", "balanced_accuracy", "macro_f1", "mcc")
    show(
        f"Three classes ({split} split)",
        [*first, "n", "coverage", "unread", "accuracy", "balanced accuracy", "macro-F1", "MCC"],
        [
            [*who, block["n"], block["coverage"], block["unparsed"]]
            + [block["three_class"][rate] for rate in rates]
            for who, block in blocks
        ],
        "A question unread or not in the file is wrong, never left out.",
    )
    show(
        f"Each class ({split} split)",
        [
            *first,
            *(f"{name} {rate}" for name in CLASS_NAMES.values() for rate in PER_CLASS.values()),
        ],
        [
            [
                *who,
                *(block["three_class"][name][rate] for name in CLASS_NAMES for rate in PER_CLASS),
            ]
            for who, block in blocks
        ],
        "0 where a class is never answered.",
    )
    single = f" Hard answers, hence one operating point: {', '.join(hard)}." if hard else ""
    for what, key in (("differential expression", "de_auroc"), ("direction", "direction_auroc")):
        show(
            f"AUROC of {what} ({split} split)",
            [*first, *AUROC_HEADER],
            [[*who, *block[key].values()] for who, block in blocks],
            f"Score: {PROTOCOL[key]}. Ranked within each cell line; over all lines, their mean. "
            "Per gene, only genes with both classes count. No answer: 1/3 per class. Ties count "
            f"half.{single}",
        )


def _show_leakage(audit: pl.DataFrame) -> None:
    columns = {
        "cell_line": "cell line",
        "rows": "test rows",
        "perts": "perturbations",
        "same_line_share": "in the same line",
        "other_line_share": "in another line",
        "unseen_share": "unseen anywhere",
        "pairs_share": "exact pairs, of rows",
        "de_pairs_share": "exact pairs, of DE rows",
    }
    show(
        "Leakage: share of test rows whose perturbation is trained on",
        list(columns.values()),
        audit.select(*columns).rows(),
        "Exact pairs: the same perturbation and gene is trained on in another cell line.",
    )
