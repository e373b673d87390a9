"""The verb `data`: download the benchmark, and audit what its test rows give away."""

from __future__ import annotations

import hashlib
import http.client
import logging
import math
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl
from rich.console import Console
from rich.progress import DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from synthpert import commands
from synthpert.display import show
from synthpert.errors import InputError
from synthpert.files import whole_file
from synthpert.questions import LABELS, read_questions, split_questions
from synthpert.questions.leakage import leakage

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger(__name__)

# The public repository's default branch; what is downloaded is pinned by checksum, not by commit.
SOURCE: Final = "https://raw.githubusercontent.com/genentech/PerturbQA/main"
# SHA-256 of the files of genentech/PerturbQA, folder perturbqa/datasets, as released with
# Wu et al., ICLR 2025; and of the repository's licence.
CHECKSUMS: Final = {
    "LICENSE.txt": "a73800e50b371bb289ed5343489368bdc6158842c9ea9b16b60e2597b30d2860",
    "perturbqa/datasets/k562-de.csv": (
        "e6ab095f3f970bb29f48427414904136785e8cd4945496f8d9a8fa6eab35ee67"
    ),
    "perturbqa/datasets/k562-dir.csv": (
        "84a0bc9631b33b8720663ed69506a316dad0f686a51f702f277914cc722000f4"
    ),
    "perturbqa/datasets/rpe1-de.csv": (
        "a66a86aac5db458e0703bccf7f2d638769400a7ccb9f2615cd9421c106b748ca"
    ),
    "perturbqa/datasets/rpe1-dir.csv": (
        "25fa0b37c7e86cd73e8135b83513ea9d96c55e5a6c3f222ffbb531b91ab0fb0c"
    ),
    "perturbqa/datasets/hepg2-de.csv": (
        "f94045fb44dcca4af9c69bee5c87de624590061a1123d55d9ee42a9c1ca97932"
    ),
    "perturbqa/datasets/hepg2-dir.csv": (
        "8c642ab6e6996887dce6c774d5fc58546970ba9216a636c7547b5039062a2cc3"
    ),
    "perturbqa/datasets/jurkat-de.csv": (
        "cf993f77015bd7df9d71ce9cf1170f6c8e64a571dc6f9ba0aef411ffb103eec5"
    ),
    "perturbqa/datasets/jurkat-dir.csv": (
        "8e17055a5bbf8c2751317db5284a9e793a2dc5aaccef0afbcdaf87daabc45709"
    ),
}
# Columns of the leakage table, in the order and the words of the audit.
SEEN: Final = {
    "other_line": "pert in another line",
    "same_line": "pert in the same line",
    "unseen": "pert unseen",
    "pairs": "pair in another line",
}
CHUNK: Final = 1 << 16
TIMEOUT: Final = 30.0  # seconds without a byte

HELP: Final = """\
usage: synthpert data VERB ...

The benchmark: get it, and know what its test rows give away.

verbs (synthpert data VERB --help tells more):
  fetch  download PerturbQA, checked file by file; run again, it resumes
            synthpert data fetch --out data/perturbqa
  audit  rows, classes, perturbations, genes; how much of the test rows is trained on
            synthpert data audit --data data/perturbqa --split strict
"""


def audit(data: Path | None = None, split: str = "default") -> None:
    """Show what is in the benchmark and how much of its test rows the training rows give away.

    Example: synthpert data audit --data data/perturbqa --split strict

    Args:
        data: Folder with CELL-de.csv and CELL-dir.csv; without it $SYNTHPERT_DATA, then
            ./data/perturbqa, then the bundled sample.
        split: default, strict or held_out:CELL.

    Raises:
        InputError: If the data or the split cannot be read.
    """
    questions = read_questions(data)
    train, test = split_questions(questions, split)
    contents = _contents(questions, train, test)
    show("Questions", contents.columns, contents.rows())
    leaks = leakage(train, test).to_dicts()
    header = [
        "cell line",
        "test rows",
        "perts",
        *SEEN.values(),
        "DE rows",
        "DE pair in another line",
    ]
    show(
        f"Test questions and what is trained on (split: {split})",
        header,
        [
            [row["cell_line"], row["rows"], row["perts"]]
            + [_of(row, name) for name in SEEN]
            + [row["de_rows"], _of(row, "de_pairs")]
            for row in leaks
        ],
    )


def fetch(out: Path = Path("data/perturbqa"), url: str = SOURCE) -> None:
    """Download the benchmark's four cell lines and its licence, each file checked by SHA-256.

    A file that is there already, and right, is not fetched again: after an interruption the same
    command resumes.

    Example: synthpert data fetch --out data/perturbqa

    Args:
        out: Folder to write to; it is made.
        url: Root of the repository genentech/PerturbQA, or of a mirror with the same paths.

    Raises:
        InputError: If a file cannot be fetched, is not the released one or cannot be written.
    """
    if not url.startswith(("http://", "https://")):
        raise InputError("unknown kind of address", file="--url", got=url, expected="http(s)://...")
    try:
        out.mkdir(parents=True, exist_ok=True)
        targets = {path: out / path.rpartition("/")[2] for path in CHECKSUMS}
        wanted = {p: t for p, t in targets.items() if _checksum(t) != CHECKSUMS[p]}
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            for path, target in wanted.items():
                if target.exists():
                    logger.info("%s is not the released file and is replaced", target)
                _fetch_file(f"{url.rstrip('/')}/{path}", target, CHECKSUMS[path], progress)
    except OSError as error:
        raise InputError(
            f"cannot be written: {error.strerror or error}", file=error.filename or out
        ) from None
    logger.info(
        "PerturbQA is in %s (%d files fetched, %d were there); its licence, LICENSE.txt, allows no "
        "commercial use. Next: synthpert data audit --data %s",
        out,
        len(wanted),
        len(targets) - len(wanted),
        out,
    )


def main(args: list[str]) -> int:
    """Run `data audit` or `data fetch`.

    Args:
        args: The command line after `synthpert data`.

    Returns:
        0, the exit code.

    Raises:
        InputError: If there is no such verb, or from the verb itself.
    """
    if not args or args[0] in ("-h", "--help"):
        sys.stdout.write(HELP)
        return 0
    verbs = {"fetch": fetch, "audit": audit}
    if args[0] not in verbs:
        raise InputError(
            "unknown verb",
            file="synthpert data",
            got=args[0],
            expected=f"one of {', '.join(verbs)}",
        )
    commands.run(f"data {args[0]}", verbs[args[0]], args[1:])
    return 0


def _contents(questions: pl.DataFrame, train: pl.DataFrame, test: pl.DataFrame) -> pl.DataFrame:
    """One row per cell line and one for all: rows by class and part, perturbations, genes."""
    parts = {"train": train, "test": test}
    every = pl.concat(
        [questions.with_columns(part=pl.lit("file"))]
        + [table.with_columns(part=pl.lit(part)) for part, table in parts.items()]
    )
    of = {part: pl.col("part") == part for part in ("file", "train", "test")}
    rows = {part: of[part].sum() for part in of}
    facts = {
        "rows": rows["file"],
        **{label.value: (of["file"] & (pl.col("label") == label.value)).sum() for label in LABELS},
        "train rows": rows["train"],
        "test rows": rows["test"],
        # Cast, because a strict split leaves rows out and a difference may not wrap around.
        "left out": rows["file"].cast(pl.Int64) - rows["train"] - rows["test"],
        "train perts": pl.col("pert").filter(of["train"]).n_unique(),
        "test perts": pl.col("pert").filter(of["test"]).n_unique(),
        "genes": pl.col("gene").n_unique(),
    }
    named = every.rename({"cell_line": "cell line"})
    each = named.group_by("cell line", maintain_order=True).agg(**facts)
    return pl.concat([each, named.select(pl.lit("all").alias("cell line"), **facts)])


def _of(row: Mapping[str, float], name: str) -> str:
    """A count with its share, `1,079 (20.1 %)`."""
    share = row[f"{name}_share"]
    return f"{row[name]:,}" + ("" if math.isnan(share) else f" ({share:.1%})")


def _checksum(path: Path) -> str | None:
    """The file's SHA-256; None where there is no file."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch_file(url: str, target: Path, checksum: str, progress: Progress) -> None:
    """Download one file beside `target`, check it, and only then give it its name."""
    with whole_file(target) as place:
        got = _download(url, place, progress)
        if got != checksum:
            raise InputError(
                "wrong checksum: not the released file; nothing was kept",
                file=url,
                got=f"sha256 {got}",
                expected=checksum,
            )
    logger.info("fetched %s", target)


def _download(url: str, part: Path, progress: Progress) -> str:
    """Write what `url` answers to `part`; returns its SHA-256."""
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, part.open("wb") as file:
            size = int(answer.headers.get("Content-Length") or 0) or None
            task = progress.add_task(url.rpartition("/")[2], total=size)
            while chunk := answer.read(CHUNK):
                digest.update(chunk)
                file.write(chunk)
                progress.advance(task, len(chunk))
            if size is not None and file.tell() != size:
                raise http.client.IncompleteRead(b"", size - file.tell())
    except urllib.error.HTTPError as error:
        got = f"HTTP {error.code} {error.reason}"
        raise InputError("cannot be fetched", file=url, got=got, expected="HTTP 200") from None
    except urllib.error.URLError as error:
        what = "cannot be reached; the same command resumes"
        raise InputError(what, file=url, got=str(error.reason), expected="a network") from None
    except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
        what = "was cut off; the same command resumes"
        raise InputError(what, file=url, got=str(error) or type(error).__name__) from None
    return digest.hexdigest()
