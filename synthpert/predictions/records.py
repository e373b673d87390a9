"""Records: how the predictions of a file were made, in the file itself.

A model's name does not say how it was asked. The record does: prompt set, samples, decoding, which
questions. Two systems whose records differ are told apart by them. In a .parquet file it is the
file's own metadata, so that renaming or mailing the file keeps it; a .csv file has it beside, as
NAME.record.json.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from synthpert.errors import InputError
from synthpert.files import whole_file
from synthpert.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

METADATA_KEY: Final = "synthpert.record"
"""Under this key of a .parquet file's metadata the record stands, as JSON."""


def to_json(record: Mapping[str, Any]) -> str:
    """Write a record down, without secrets.

    Args:
        record: Names and values that JSON has, nested as one likes.

    Returns:
        JSON on one line, keys sorted.
    """
    return json.dumps(redact(dict(record)), sort_keys=True, ensure_ascii=False, default=str)


def read_record(path: Path) -> dict[str, Any]:
    """Read how the predictions of a file were made.

    Args:
        path: A prediction file that exists, .parquet or .csv.

    Returns:
        The record; empty where there is none, as in files of other programs.

    Raises:
        InputError: If there is one and it is no JSON object.
    """
    try:
        if path.suffix.lower() == ".parquet":
            text = pl.read_parquet_metadata(path).get(METADATA_KEY, "{}")
        else:
            beside = _beside(path)
            text = beside.read_text(encoding="utf-8") if beside.is_file() else "{}"
        record = json.loads(text)
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise InputError(f"the record cannot be read: {error}", file=path) from None
    if not isinstance(record, dict):
        raise InputError("the record is no JSON object", file=path, got=type(record).__name__)
    return record


def write_beside(record: Mapping[str, Any], path: Path) -> None:
    """Write the record of a file that has no metadata of its own; without one, remove an old one.

    Args:
        record: The record.
        path: The .csv file of predictions.

    Raises:
        InputError: If it cannot be written.
    """
    if not record:
        # That of the file that was here before would speak for this one.
        _beside(path).unlink(missing_ok=True)
        return
    with whole_file(_beside(path)) as place:
        place.write_text(f"{to_json(record)}\n", encoding="utf-8")


def fingerprint(table: pl.DataFrame) -> str:
    """Say which questions a table holds, whatever their order.

    Args:
        table: Columns cell_line, pert, gene.

    Returns:
        64 hex digits: the SHA-256 of the sorted questions, one a line, tabs between.
    """
    rows = table.select("cell_line", "pert", "gene").sort("cell_line", "pert", "gene")
    lines = "".join("\t".join(row) + "\n" for row in rows.iter_rows())
    return hashlib.sha256(lines.encode()).hexdigest()


def _beside(path: Path) -> Path:
    name = path.name.removesuffix(".gz").removesuffix(".csv")
    return path.with_name(f"{name}.record.json")
