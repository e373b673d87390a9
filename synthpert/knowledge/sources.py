"""Knowledge files: gene sets, networks and gene names, recognised by their form.

A file's name matters only as the source that is shown with each fact it gives.
"""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from synthpert.errors import InputError
from synthpert.tables import read_text_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_TABLES: Final = {".tsv": "\t", ".csv": ","}
_SET_FILES: Final = (".gmt", ".txt")
_NOTES: Final = re.compile(r"(?i)^(?:readme|sources?|licen[cs]e|notice|citation|\.)|\.md$")
_ACCEPTED: Final = (
    "gene sets (.gmt; or .tsv, .csv with a name column and one of genes), an edge list (gene1, "
    "gene2) or gene names (symbol, full_name, synonyms), each plain or .gz"
)
# Lower-case column names, the first that a table has counts.
_EDGES: Final = (
    *(
        (f"{word}{mark}{one}", f"{word}{mark}{two}")
        for word in ("gene", "symbol", "protein", "node", "interactor")
        for mark in ("", "_")
        for one, two in (("1", "2"), ("a", "b"))
    ),
    ("source", "target"),
    ("from", "to"),
)
_FULL_NAMES: Final = ("full_name", "name", "description")
_SYNONYMS: Final = ("synonyms", "alias_symbol", "prev_symbol", "aliases")
_GENE: Final = ("gene", "gene_symbol", "symbol", "hgnc_symbol")
_GENE_LISTS: Final = ("gene_symbols", "symbols", "genes", "members")
_SET_NAMES: Final = re.compile(r"^(?:.*name|name|gs_name|term|set|gene_set|pathway|complex)$")
_LIST_SEPARATOR: Final = "|"


@dataclass(frozen=True, slots=True)
class SetTable:
    """Gene sets of one file.

    Attributes:
        source: The file's name without its suffixes.
        names: One a set.
        members: Columns set (UInt32, index into `names`) and gene (String), without repeats.
    """

    source: str
    names: list[str]
    members: pl.DataFrame


@dataclass(frozen=True, slots=True)
class EdgeList:
    """An undirected network.

    Attributes:
        source: The file's name without its suffixes.
        edges: Columns gene1 and gene2 (String), no gene with itself.
    """

    source: str
    edges: pl.DataFrame


@dataclass(frozen=True, slots=True)
class NameTable:
    """What genes are called.

    Attributes:
        source: The file's name without its suffixes.
        names: Columns symbol (String) and full_name (String, null where not given).
        synonyms: Columns synonym and symbol (String).
    """

    source: str
    names: pl.DataFrame
    synonyms: pl.DataFrame


def knowledge_files(folder: Path) -> list[Path]:
    """List a folder's knowledge files by name; notes (README, SOURCES, LICENSE, .md) are no such.

    Args:
        folder: The folder; those below it are not looked into.

    Raises:
        InputError: If there is no such folder or no such file in it.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "no such folder"
        raise InputError(what, file=folder, expected="a folder with knowledge files")
    # A link to nothing is listed, so that reading it says that it is one.
    files = sorted(path for path in folder.iterdir() if path.is_file() or not path.exists())
    files = [path for path in files if not _NOTES.search(path.name)]
    if not files:
        raise InputError("no knowledge file in this folder", file=folder, expected=_ACCEPTED)
    return files


def read_source(path: Path) -> SetTable | EdgeList | NameTable:
    """Read one knowledge file.

    Args:
        path: Gene sets, an edge list or gene names.

    Raises:
        InputError: If it is none of these, or a row of it is broken.
    """
    plain = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    stem, _, suffix = plain.rpartition(".")
    suffix = f".{suffix.lower()}"
    if suffix in _SET_FILES:
        return _read_gmt(path, stem)
    separator = _TABLES.get(suffix)
    if separator is None:
        raise InputError("no knowledge file", file=path, expected=_ACCEPTED)
    table = read_text_table(path, [], separator)
    names = [name.lower() for name in table.columns]
    for name in table.columns:
        if names.count(name.lower()) > 1:
            raise InputError("column stands twice", file=path, row=1, column=name)
    return _recognise(table.rename(dict(zip(table.columns, names, strict=True))), path, stem)


def _recognise(table: pl.DataFrame, path: Path, source: str) -> SetTable | EdgeList | NameTable:
    columns = table.columns
    for pair in _EDGES:
        if set(pair) <= set(columns):
            return EdgeList(source, _edges(table, *pair))
    lists, gene = _first(_GENE_LISTS, columns), _first(_GENE, columns)
    named = [name for name in columns if _SET_NAMES.match(name) and name != gene]
    is_names = any(name in columns for name in ("full_name", *_SYNONYMS))
    if "symbol" in columns and "type" in columns and not is_names:
        return _alias_rows(table, path, source)
    if "symbol" in columns and is_names:
        return _names(table, source)
    if named and lists:
        genes = pl.col(lists).str.split(_LIST_SEPARATOR)
        rows = table.select(name=named[0], gene=genes).drop_nulls("name").with_row_index("set")
        return _sets(source, rows["name"].to_list(), rows.explode("gene").select("set", "gene"))
    if named and gene:
        key = [name for name in columns if name.endswith("id") and name != gene] + named[:1]
        told = table.drop_nulls(named[0])
        rows = told.select(gene=gene, name=named[0], set=pl.struct(key).rank("dense") - 1)
        names = rows.unique("set").sort("set")["name"].to_list()
        return _sets(source, names, rows.select(pl.col("set").cast(pl.UInt32), "gene"))
    raise InputError(
        "no knowledge file", file=path, row=1, got=", ".join(columns), expected=_ACCEPTED
    )


def _first(wanted: Sequence[str], columns: Sequence[str]) -> str | None:
    return next((name for name in wanted if name in columns), None)


def _edges(table: pl.DataFrame, one: str, two: str) -> pl.DataFrame:
    edges = table.select(gene1=one, gene2=two).drop_nulls()
    return edges.filter(pl.col("gene1") != pl.col("gene2"))


def _sets(source: str, names: list[str], members: pl.DataFrame) -> SetTable:
    members = members.drop_nulls().filter(pl.col("gene") != "").unique(maintain_order=True)
    return SetTable(source, [" ".join(name.split()) for name in names], members)


def _names(table: pl.DataFrame, source: str) -> NameTable:
    full_name = _first(_FULL_NAMES, table.columns)
    told = pl.col(full_name) if full_name else pl.lit(None, pl.String)
    names = table.select("symbol", full_name=told).drop_nulls("symbol")
    synonyms = [
        table.select(synonym=pl.col(name).str.split(_LIST_SEPARATOR), symbol="symbol")
        .explode("synonym")
        .drop_nulls()
        for name in _SYNONYMS
        if name in table.columns
    ]
    empty = pl.DataFrame(schema={"synonym": pl.String, "symbol": pl.String})
    return NameTable(source, names, pl.concat([empty, *synonyms]))


def _alias_rows(table: pl.DataFrame, path: Path, source: str) -> NameTable:
    """Names as rows (an id, `type` symbol or synonym, the name itself)."""
    number = next((name for name in table.columns if name.endswith("id")), None)
    kinds = table["type"].unique().to_list()
    if number is None or "symbol" not in kinds:
        raise InputError(
            "no knowledge file",
            file=path,
            column="type",
            got=", ".join(sorted(str(kind) for kind in kinds[:9])),
            expected="rows of type symbol and synonym, and a column with the gene's id",
        )
    is_symbol = pl.col("type") == "symbol"
    official = table.filter(is_symbol).select(number, official="symbol")
    synonyms = table.filter(~is_symbol).join(official, on=number)
    names = official.select(symbol="official", full_name=pl.lit(None, pl.String))
    return NameTable(source, names, synonyms.select(synonym="symbol", symbol="official"))


def _read_gmt(path: Path, source: str) -> SetTable:
    names: list[str] = []
    genes: list[list[str]] = []
    for row, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        name, *rest = line.split("\t")
        if len(rest) < 2 or not name.strip():
            raise InputError(
                "no gene set",
                file=path,
                row=row,
                got=line[:40],
                expected="name, description and genes with tabs between",
            )
        names.append(name)
        # Enrichr writes a weight behind some of its genes: "TP53,1.0".
        genes.append([gene.partition(",")[0].strip() for gene in rest[1:]])
    members = pl.DataFrame({"gene": genes}, schema={"gene": pl.List(pl.String)})
    return _sets(source, names, members.with_row_index("set").explode("gene"))


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw
        text = raw.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot be read: {error}", file=path) from None
    except UnicodeDecodeError:
        raise InputError("not UTF-8 text", file=path, expected=_ACCEPTED) from None
    if not text.strip():
        raise InputError("file is empty", file=path, expected=_ACCEPTED)
    return text
