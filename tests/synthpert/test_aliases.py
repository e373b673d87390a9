"""Gene symbols by table: one reading is taken, two are reported, none is guessed."""

from __future__ import annotations

import logging
from pathlib import Path

import polars as pl
import pytest

from synthpert.aliases import Aliases, read_aliases, rename_symbols
from synthpert.errors import InputError

TABLE = """symbol\tsynonyms
MARCHF1\tMARCH1|RNF171
GET1\tWRB
SEPTIN1\tSEP1
XRN1\tSEP1
OLD1\tLENT
LENT\tLNT
"""


@pytest.fixture
def aliases(tmp_path: Path) -> Aliases:
    path = tmp_path / "names.tsv"
    path.write_text(TABLE)
    return read_aliases(path)


def test_a_newer_and_an_older_symbol_become_the_known_one(aliases: Aliases) -> None:
    found = aliases.resolve(["MARCHF1", "WRB", "RNF171X"], ["MARCH1", "GET1"])
    assert found.renamed == {"MARCHF1": "MARCH1", "WRB": "GET1"}
    assert found.unknown == ["RNF171X"]


def test_two_synonyms_of_one_gene_are_the_same(aliases: Aliases) -> None:
    assert aliases.resolve(["RNF171"], ["MARCH1"]).renamed == {"RNF171": "MARCH1"}


def test_a_synonym_of_two_genes_is_ambiguous(aliases: Aliases) -> None:
    found = aliases.resolve(["SEP1"], ["SEPTIN1", "XRN1"])
    assert found.ambiguous == {"SEP1": ["SEPTIN1", "XRN1"]}
    assert not found.renamed


def test_a_synonym_of_two_genes_is_ambiguous_where_one_is_known(aliases: Aliases) -> None:
    assert aliases.resolve(["SEP1"], ["XRN1"]).ambiguous == {"SEP1": ["XRN1"]}
    assert aliases.resolve(["XRN1"], ["SEP1"]).ambiguous == {"XRN1": ["SEP1"]}


def test_an_official_symbol_is_no_synonym(aliases: Aliases) -> None:
    found = aliases.resolve(["OLD1"], ["LENT"])
    assert found.unknown == ["OLD1"]


def test_symbols_that_meet_in_one_are_ambiguous(aliases: Aliases) -> None:
    found = aliases.resolve(["MARCHF1", "RNF171"], ["MARCH1"])
    assert set(found.ambiguous) == {"MARCHF1", "RNF171"}


def test_a_symbol_whose_goal_is_there_too_is_ambiguous(aliases: Aliases) -> None:
    assert aliases.resolve(["MARCHF1", "MARCH1"], ["MARCH1"]).ambiguous == {"MARCHF1": ["MARCH1"]}


def test_what_became_of_them_is_told(aliases: Aliases, caplog: pytest.LogCaptureFixture) -> None:
    table = pl.DataFrame({"pert": ["WRB", "SEP1"], "gene": ["MARCHF1", "MARCH1X"]})
    questions = pl.DataFrame({"pert": ["GET1", "XRN1"], "gene": ["MARCH1", "A"]})
    with caplog.at_level(logging.INFO):
        renamed = rename_symbols(table, questions, aliases, "p.csv")
    assert renamed["pert"].to_list() == ["GET1", "SEP1"]
    assert renamed["gene"].to_list() == ["MARCH1", "MARCH1X"]
    assert "column pert: 1 renamed, 1 ambiguous and kept (SEP1: XRN1), 0 unknown" in caplog.text


def test_a_table_without_synonyms_is_refused(tmp_path: Path) -> None:
    (tmp_path / "edges.tsv").write_text("gene1\tgene2\nA\tB\n")
    with pytest.raises(InputError, match="no table of synonyms"):
        read_aliases(tmp_path / "edges.tsv")
