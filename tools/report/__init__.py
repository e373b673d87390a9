"""`synthpert report`: one page to mail, with everything a sceptical reader asks for."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from synthpert.commands import run as run_command
from synthpert.errors import InputError
from synthpert.files import whole_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

logger = logging.getLogger(__name__)


def main(args: list[str]) -> int:
    """Run the verb.

    Args:
        args: The command line after `report`.

    Returns:
        The exit code.
    """
    run_command("report", report, args)
    return 0


def report(
    files: tuple[str, ...] = (),
    data: str | None = None,
    split: str = "default",
    knowledge: str | None = None,
    run: str | None = None,
    traces: str | None = None,
    questions: str | None = None,
    rounds: int = 1000,
    paper: bool = False,
    out: str | None = None,
) -> None:
    """Write one self-contained page about prediction files, or rebuild the tables of the paper.

    The page opens without a network. It shows the figures with 95 % intervals beside the reference
    rows, curves, confusion, calibration, strata, the leakage audit, and single predictions with
    their reasoning. `--paper` writes Tables 1 to 5 instead, the published rows and ours, each AUROC
    under the name of its protocol; without a file ours are the reference rows.
    Example: synthpert report predictions.parquet --run runs/tiny --out report.html

    Args:
        files: Prediction files, .parquet or .csv; the first is what the page is about.
        data: Folder with the benchmark; by default SYNTHPERT_DATA, ./data/perturbqa or the sample.
        split: default, strict or held_out:CELL.
        knowledge: Folder of gene sets and networks, for the reference row knn; without it
            SYNTHPERT_KNOWLEDGE, ./data/knowledge, the bundled sample.
        run: A run's folder: its training curves and settings are shown.
        traces: A trace file, a journal (.sqlite) or the output of `traces status --json`: what the
            traces cost is shown.
        questions: Score all on the questions of this table alone (cell_line, pert, gene; a
            prediction file will do): of a model that was asked only some of them.
        rounds: Of the bootstrap over perturbations; 0 switches intervals off.
        paper: Rebuild the tables of the paper.
        out: The page, report.html if not given; with `--paper` a folder, tables if not given.

    Raises:
        InputError: If a file, the benchmark, the run or the traces are wrong, or `out` cannot be
            written.
    """
    if paper:
        unused = {"run": run, "traces": traces, "questions": questions}
        _refuse_unused(unused | {"split": None if split == "default" else split})
        from tools.report.paper import write_tables

        write_tables(files, Path(out or "tables"), data=data, knowledge=knowledge, rounds=rounds)
        return
    if not files:
        raise InputError("no prediction file", file="synthpert report", expected="FILE ...")
    from tools.report.gathering import gather
    from tools.report.page import LARGEST, render

    page = render(gather(files, data, split, knowledge, run, traces, questions, rounds))
    path = Path(out or "report.html")
    with whole_file(path) as place:
        place.write_text(page, encoding="utf-8", errors="replace")
    size = path.stat().st_size
    if size > LARGEST:
        logger.warning("%s is larger than %.1f MB: too many systems to mail", path, LARGEST / 1e6)
    _say(path, size, files)


def _refuse_unused(flags: Mapping[str, str | None]) -> None:
    """Refuse what the tables of the paper have no place for."""
    for name, value in flags.items():
        if value is not None:
            what = "has no place in the paper's tables"
            expected = "--paper without it"
            raise InputError(what, file=f"--{name}", got=value, expected=expected)


def _say(path: Path, size: int, files: Sequence[str]) -> None:
    from rich.console import Console

    told = f"{path}: the report on {len(files)} file{'s' if len(files) > 1 else ''}"
    Console().print(f"{told}, {size / 1e6:.1f} MB", markup=False, highlight=False, soft_wrap=True)
