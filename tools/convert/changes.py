"""Tables of predicted changes: a row per perturbation and gene, or a matrix."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from synthpert.errors import InputError
from synthpert.tables import FIRST_ROW, check_file, read_text_table, refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

CHANGE: Final = "change"
PERT_COLUMNS: Final = (
    *("pert", "perturbation", "condition", "target_gene", "perturbed_gene", "gene_target"),
)
GENE_COLUMNS: Final = ("gene", "gene_symbol", "gene_name", "symbol", "feature", "target")
LINE_COLUMNS: Final = ("cell_line", "cell_type", "cell")
_CHANGE_COLUMNS: Final = (
    *(CHANGE, "logfc", "log2fc", "log2foldchange", "log_fc", "lfc", "delta", "predicted_change"),
    "prediction",
)
_SEPARATORS: Final = {".csv": ",", ".tsv": "\t"}


def read_changes(
    path: Path, line: str | None, pert_column: str | None = None, gene_column: str | None = None
) -> pl.DataFrame:
    """Read a table of predicted changes.

    Args:
        path: .csv, .tsv (plain or .gz) or .parquet. With a column of genes and one of changes, a
            row is one prediction; otherwise all columns but the perturbation's (the first, if it
            has no usual name) and the cell line's are genes.
        line: The cell line of all rows; None where the table has a column of it.
        pert_column: Where the perturbation stands, if under no usual name.
        gene_column: Where the gene stands, if under no usual name.

    Returns:
        Columns cell_line, pert, gene (String) and `change` (Float64, null where it is empty).

    Raises:
        InputError: If the file cannot be read, a column is missing, a value is no number, or
            a prediction stands there twice.
    """
    table = _read(path)
    gene = find_column(table.columns, GENE_COLUMNS, gene_column, path)
    change = find_column(table.columns, _CHANGE_COLUMNS, None, path)
    is_long = gene is not None and change is not None
    pert = find_column(table.columns, PERT_COLUMNS, pert_column, path)
    if pert is None and is_long:
        expected = " | ".join(PERT_COLUMNS)
        raise InputError("no column of perturbations", file=path, row=1, expected=expected)
    pert = pert or table.columns[0]
    lines = find_column(table.columns, LINE_COLUMNS, None, path)
    if line is None and lines is None:
        raise InputError(
            "of which cell line", file=path, expected="CELL=FILE, or a column cell_line"
        )
    of_line = pl.lit(line) if line is not None else pl.col(str(lines))
    table = table.with_columns(of_line.alias("cell_line"), pl.col(pert).alias("pert"))
    table = table.with_row_index("row", offset=FIRST_ROW)
    if is_long:
        found = table.select("row", "cell_line", "pert", gene=str(gene), change=str(change))
    else:
        _check_unique(table, ["cell_line", "pert"], path)
        genes = [name for name in table.columns if name not in {pert, lines, "row", *_KEY[:2]}]
        index = ["row", "cell_line", "pert"]
        found = table.unpivot(genes, index=index, variable_name="gene", value_name=CHANGE)
    for name in _KEY:
        refuse(found, pl.col(name).is_null(), "is empty", file=path, column=name, expected="a name")
    found = _numbers(found, path)
    _check_unique(found, list(_KEY), path)
    return found.select(*_KEY, CHANGE)


_KEY: Final = ("cell_line", "pert", "gene")


def find_column(
    columns: Sequence[str], usual: Sequence[str], asked: str | None, path: Path
) -> str | None:
    """Find a column by its usual names, in whatever case.

    Args:
        columns: The table's.
        usual: The first that is there counts.
        asked: The column that the user named; it must be there.
        path: The file, for the error.

    Returns:
        The name as the table has it; None where there is none.

    Raises:
        InputError: If the column asked for is missing.
    """
    if asked is not None:
        if asked not in columns:
            got = ", ".join(columns[:9])
            raise InputError("column is missing", file=path, column=asked, got=got)
        return asked
    lower = {name.lower(): name for name in reversed(columns)}
    return next((lower[name] for name in usual if name in lower), None)


def _read(path: Path) -> pl.DataFrame:
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(".parquet"):
        check_file(path)
        try:
            table = pl.read_parquet(path, glob=False)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise InputError(f"not a sound Parquet file: {error}", file=path) from None
    elif Path(name).suffix in _SEPARATORS:
        table = read_text_table(path, [], _SEPARATORS[Path(name).suffix])
    else:
        raise InputError(
            "not predicted expression", file=path, expected=".h5ad, .csv, .tsv or .parquet"
        )
    if table.is_empty():
        raise InputError("no rows", file=path)
    # Other programs write names as categories.
    return table.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))


def _numbers(table: pl.DataFrame, path: Path) -> pl.DataFrame:
    """The changes as numbers; not-a-number is an empty value, an infinite one is refused."""
    number = pl.col(CHANGE).cast(pl.Float64, strict=False)
    given = pl.col(CHANGE).is_not_null()
    if table.schema[CHANGE] == pl.String:
        given &= pl.col(CHANGE) != ""
    odd = given & (number.is_null() | number.is_infinite())
    bad = table.filter(odd).sort("row").head(1)
    if len(bad):
        row = bad.row(0, named=True)
        got, expected = row[CHANGE], "a number"
        what, column = "change is no number", row["gene"]
        raise InputError(what, file=path, row=row["row"], column=column, got=got, expected=expected)
    return table.with_columns(number.fill_nan(None).alias(CHANGE))


def _check_unique(table: pl.DataFrame, key: list[str], path: Path) -> None:
    again = (~table.select(pl.struct(key).is_first_distinct()).to_series()).arg_true()
    if len(again):
        got = ", ".join(table.select(key).row(again[0]))
        row = table["row"][again[0]]
        raise InputError("stands there twice", file=path, row=row, got=got, expected="one row")
