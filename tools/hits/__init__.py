"""`synthpert hits`: predictions as a biologist reads them."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, Literal

from synthpert.commands import listed, run
from synthpert.errors import InputError
from synthpert.files import no_such_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.hits.screen import Wanted

__all__ = ["hits", "main"]

# More than a screen has pixels, and a tree over them takes time with their square.
_MOST_SHOWN: Final = 2_000


def main(args: list[str]) -> int:
    """Run the verb.

    Args:
        args: The command line after `hits`.

    Returns:
        The exit code.
    """
    run("hits", hits, listed(args, "gmt"))
    return 0


def hits(
    files: list[str],
    out: str = "hits",
    top: int = 20,
    gmt: list[str] | None = None,
    perts: str | None = None,
    cell_line: str | None = None,
    threshold: float | None = None,
    genes: Literal["called", "top"] = "called",
    min_size: int = 3,
    max_size: int = 500,
    shown_perts: int = 50,
    shown_genes: int = 80,
) -> None:
    """Turn predictions into top genes, a heat map and pathways, for each perturbation.

    Writes hits.csv, the genes most probably up and most probably down; heatmap.png, .svg and .csv,
    perturbations by genes, clustered; pathways.csv, .png and .svg, the gene sets that the genes are
    over-represented in; and README.md, which says what each file is. Ten million rows take no more
    memory than one million. Example: synthpert hits predictions.parquet --out hits --top 50

    Args:
        files: Prediction files, .parquet or .csv; several are parts of one screen.
        out: Folder to write to; files of an earlier run there are replaced.
        top: Genes to list of each perturbation and direction.
        gmt: Files or folders of gene sets (.gmt); by default SYNTHPERT_KNOWLEDGE,
            ./data/knowledge or the sample.
        perts: Only these perturbations: names with commas between, or a file with one a line.
        cell_line: Only these cell lines, with commas between.
        threshold: Call a gene up (down) from this p_up (p_down) on; by default as it was answered.
        genes: Test pathways with the genes called, or with the top ones listed.
        min_size: Test a gene set with at least so many of its genes asked about.
        max_size: Leave out gene sets with more genes than this.
        shown_perts: Perturbations in a heat map at most.
        shown_genes: Genes in a heat map at most.

    Raises:
        InputError: If a file, a name or a number is wrong, or `out` cannot be written.
    """
    _check_numbers({"top": top, "min-size": min_size, "max-size": max_size}, None)
    _check_numbers({"shown-perts": shown_perts, "shown-genes": shown_genes}, _MOST_SHOWN)
    if threshold is not None and not 0 < threshold <= 1:
        expected = "a probability above 0"
        raise InputError("out of range", file="--threshold", got=threshold, expected=expected)
    from tools.hits.screen import Wanted

    wanted = Wanted(
        [Path(file) for file in files],
        cell_lines=_names("cell-line", cell_line),
        perts=_names("perts", perts),
        gmt=gmt,
        top=top,
        threshold=threshold,
        genes=genes,
        min_size=min_size,
        max_size=max_size,
        shown=(shown_perts, shown_genes),
    )
    folder = Path(out)
    before = _of_before(folder, wanted.files)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # In the folder itself: the system's own may be small, or be memory.
        with TemporaryDirectory(prefix=".hits-", dir=folder) as work:
            _write(wanted, folder, Path(work), before)
    except OSError as error:
        what = f"cannot be written: {error.strerror or error}"
        raise InputError(what, file=folder, expected="a folder") from None


def _of_before(folder: Path, files: Sequence[Path]) -> set[Path]:
    """The files that an earlier run left, as far as its README.md tells of them.

    Raises:
        InputError: If an input would be written over, or the folder is of something else.
    """
    from tools.hits.screen import OURS
    from tools.hits.summary import HEAD

    for file in files:
        if OURS.fullmatch(file.name) and file.resolve().parent == folder.resolve():
            what = "would be written over: it is one of the files to write"
            raise InputError(what, file=file, expected="another --out")
    readme = folder / "README.md"
    if not readme.is_file():
        return set()
    told = readme.read_text(encoding="utf-8", errors="replace")
    if not told.startswith(HEAD):
        what = "this folder is of something else: its README.md would be written over"
        raise InputError(what, file=folder, expected=f"another --out, such as {folder / 'hits'}")
    return {path for path in folder.iterdir() if OURS.fullmatch(path.name) and path.stem in told}


def _write(wanted: Wanted, folder: Path, work: Path, before: set[Path]) -> None:
    """Write every file of the folder, remove what an earlier run left, and tell."""
    from tools.hits.pictures import draw
    from tools.hits.screen import look, progress_bars
    from tools.hits.summary import Summary

    with progress_bars() as progress:
        screen = look(wanted, folder, work, progress)
        notes = draw(screen, folder, progress)
    summary = Summary(screen, notes)
    summary.write(folder / "README.md")
    written = {"README.md"}
    for names, _ in screen.files:
        stem, *others = names.split(", ")
        written |= {stem, *(stem.rpartition(".")[0] + suffix for suffix in others)}
    for path in before:
        if path.name not in written:
            path.unlink(missing_ok=True)
    summary.show(folder)


def _check_numbers(numbers: dict[str, int], most: int | None) -> None:
    for flag, number in numbers.items():
        if number < 1 or (most is not None and number > most):
            expected = f"1 to {most:,}" if most else "1 or more"
            raise InputError("out of range", file=f"--{flag}", got=number, expected=expected)


def _names(flag: str, text: str | None) -> Sequence[str] | None:
    """Names with commas between, or those of a file."""
    if text is None:
        return None
    path = Path(text)
    if not path.is_file() and (path.suffix in (".txt", ".csv", ".tsv") or "/" in text):
        raise no_such_file(path)
    try:
        told = path.read_text(encoding="utf-8-sig") if path.is_file() else text.replace(",", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", file=path, expected="a name a line") from None
    names = list(dict.fromkeys(filter(None, map(str.strip, told.splitlines()))))
    if not names:
        raise InputError("names nothing", file=f"--{flag}", got=text, expected="A,B or a file")
    return names
