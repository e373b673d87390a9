"""Knowledge files: every form is recognised, whatever the file is called; no other is."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthpert.errors import InputError
from synthpert.knowledge.sources import (
    EdgeList,
    NameTable,
    SetTable,
    knowledge_files,
    read_source,
)

SYMBOLS = st.from_regex(r"[A-Z][A-Z0-9-]{0,8}", fullmatch=True)


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def sets_of(table: object) -> dict[str, set[str]]:
    assert isinstance(table, SetTable)
    found: dict[str, set[str]] = {name: set() for name in table.names}
    for number, gene in table.members.iter_rows():
        found[table.names[number]].add(gene)
    return found


@pytest.mark.parametrize("name", ["my sets.gmt", "x.gmt.gz", "X.GMT", "Enrichr_Library.txt"])
def test_gene_sets_with_tabs_are_read(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name, "Ribosome\thttp://x\tRPL3\tRPL5,1.0\r\n\nOther\t\tA\tA\t\tB\n")
    table = read_source(path)
    assert sets_of(table) == {"Ribosome": {"RPL3", "RPL5"}, "Other": {"A", "B"}}
    assert table.source == name.removesuffix(".gz").rpartition(".")[0]


def test_a_table_of_sets_with_their_genes_in_one_column_is_read(tmp_path: Path) -> None:
    text = "identifier\tname\tsource\tsymbols\nP1\tWnt\tpid\tA|B|A\nP2\t\tpid\tC\n"
    assert sets_of(read_source(written(tmp_path, "p.tsv", text))) == {"Wnt": {"A", "B"}}


def test_a_table_with_one_gene_a_row_is_read_and_equal_names_stay_two_sets(tmp_path: Path) -> None:
    text = "ComplexID,ComplexName,Organism,gene\n1,CCT,Human,A\n1,CCT,Human,B\n2,CCT,Human,C\n"
    table = read_source(written(tmp_path, "complexes.csv", text))
    assert isinstance(table, SetTable)
    assert table.names == ["CCT", "CCT"]
    assert sorted(table.members.rows()) == [(0, "A"), (0, "B"), (1, "C")]


@pytest.mark.parametrize("header", ["gene1\tgene2", "Symbol_A\tSymbol_B\tscore", "from\tto"])
def test_an_edge_list_is_read_without_loops(tmp_path: Path, header: str) -> None:
    rest = "\t7" * (header.count("\t") - 1)
    text = f"{header}\nA\tB{rest}\nC\tC{rest}\n"
    table = read_source(written(tmp_path, "net.tsv.gz", text))
    assert isinstance(table, EdgeList)
    assert table.edges.rows() == [("A", "B")]


def test_gene_names_with_synonyms_are_read(tmp_path: Path) -> None:
    text = "gene_id\tsymbol\tsynonyms\tfull_name\n1\tA1BG\tA1B|ABG\talpha\n2\tX\t\t\n"
    table = read_source(written(tmp_path, "names.tsv", text))
    assert isinstance(table, NameTable)
    assert table.names.rows() == [("A1BG", "alpha"), ("X", None)]
    assert set(table.synonyms.rows()) == {("A1B", "A1BG"), ("ABG", "A1BG")}


def test_the_columns_of_hgnc_are_gene_names_too(tmp_path: Path) -> None:
    text = "hgnc_id\tsymbol\tname\talias_symbol\tprev_symbol\nH:1\tATP5F1A\tATP\t\tATP5A1\n"
    table = read_source(written(tmp_path, "hgnc.tsv", text))
    assert isinstance(table, NameTable)
    assert table.synonyms.rows() == [("ATP5A1", "ATP5F1A")]


def test_synonyms_as_rows_are_read(tmp_path: Path) -> None:
    text = "GeneID\ttype\tsymbol\n1\tsymbol\tA1BG\n1\tsynonym\tA1B\n"
    table = read_source(written(tmp_path, "aliases.tsv", text))
    assert isinstance(table, NameTable)
    assert table.synonyms.rows() == [("A1B", "A1BG")]


def test_a_table_of_something_else_is_refused_and_told_what_is_accepted(tmp_path: Path) -> None:
    path = written(tmp_path, "ages.tsv", "person\tage\nAda\t36\n")
    with pytest.raises(
        InputError, match=r"ages\.tsv:1: no knowledge file .*got 'person, age'.*edge"
    ):
        read_source(path)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"sets\.xlsx: no knowledge file \(expected gene sets"):
        read_source(written(tmp_path, "sets.xlsx", "PK"))


def test_a_line_that_is_no_set_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "s.gmt", "Good\tx\tA\nno tabs here\n")
    with pytest.raises(InputError, match=r"s\.gmt:2: no gene set \(got 'no tabs here'"):
        read_source(path)


def test_types_of_rows_that_name_no_symbol_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "a.tsv", "GeneID\ttype\tsymbol\n1\tprotein\tA1BG\n")
    with pytest.raises(InputError, match=r"a\.tsv:type: no knowledge file \(got 'protein'"):
        read_source(path)


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"\x1f\x8b\x08broken", "cannot be read"),
        (b"A\tb\t\xff\n", "not UTF-8 text"),
        (b" \n", "file is empty"),
    ],
)
def test_a_broken_file_is_one_line(tmp_path: Path, raw: bytes, what: str) -> None:
    (tmp_path / "s.gmt").write_bytes(raw)
    with pytest.raises(InputError, match=what):
        read_source(tmp_path / "s.gmt")


def test_line_ends_of_an_old_mac_and_a_suffix_in_capitals_are_read(tmp_path: Path) -> None:
    path = tmp_path / "S.GMT.GZ"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbfOne\tx\tA\tB\rTwo\tx\tC\tD\r"))
    assert sets_of(read_source(path)) == {"One": {"A", "B"}, "Two": {"C", "D"}}


def test_columns_that_differ_by_case_alone_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "e.tsv", "Gene1\tgene1\tgene2\nA\tB\tC\n")
    with pytest.raises(InputError, match="column stands twice"):
        read_source(path)


def test_a_link_to_nothing_is_not_passed_over(tmp_path: Path) -> None:
    written(tmp_path, "s.gmt", "S\tx\tA\tB\n")
    (tmp_path / "net.tsv").symlink_to(tmp_path / "gone.tsv")
    names = [path.name for path in knowledge_files(tmp_path)]
    assert names == ["net.tsv", "s.gmt"]
    with pytest.raises(InputError, match="the link leads nowhere"):
        read_source(tmp_path / "net.tsv")


def test_notes_beside_the_files_are_passed_over(tmp_path: Path) -> None:
    for name in ("b.gmt", "a.tsv", "SOURCES.md", "README", "LICENSE.txt", ".hidden", "notes.md"):
        (tmp_path / name).touch()
    (tmp_path / "below").mkdir()
    assert [path.name for path in knowledge_files(tmp_path)] == ["a.tsv", "b.gmt"]


@pytest.mark.parametrize(
    ("name", "what"),
    [("none", "no such folder"), ("file", "is a file"), ("empty", "no knowledge file")],
)
def test_a_folder_without_knowledge_is_one_line(tmp_path: Path, name: str, what: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=what):
        knowledge_files(tmp_path / name)


@given(st.dictionaries(SYMBOLS, st.sets(SYMBOLS, min_size=1, max_size=5), min_size=1, max_size=6))
def test_what_is_written_as_gene_sets_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, sets: dict[str, set[str]]
) -> None:
    lines = ["\t".join([name, "about", *sorted(genes)]) for name, genes in sets.items()]
    path = written(tmp_path_factory.mktemp("gmt"), "sets.gmt", "\n".join(lines))
    assert sets_of(read_source(path)) == sets
