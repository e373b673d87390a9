"""Sets, networks and names over one index of genes."""

from __future__ import annotations

import logging
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthpert.errors import InputError
from synthpert.knowledge import GeneSet, Knowledge, Named, find_knowledge
from synthpert.knowledge.graph import LARGEST_SET, fingerprint
from synthpert.knowledge.indexing import Rows
from synthpert.knowledge.sources import EdgeList, NameTable, SetTable

GENES = [f"G{i}" for i in range(9)]
EDGES = st.lists(st.tuples(st.sampled_from(GENES), st.sampled_from(GENES)), max_size=14)


def sets(source: str, **members: list[str]) -> SetTable:
    rows = [(i, gene) for i, genes in enumerate(members.values()) for gene in genes]
    schema = {"set": pl.UInt32, "gene": pl.String}
    return SetTable(source, list(members), pl.DataFrame(rows, schema, orient="row"))


def network(*edges: tuple[str, str]) -> EdgeList:
    schema = {"gene1": pl.String, "gene2": pl.String}
    return EdgeList("net", pl.DataFrame(edges, schema, orient="row"))


def names(symbols: dict[str, str | None], synonyms: dict[str, str] | None = None) -> NameTable:
    pairs = list((synonyms or {}).items())
    return NameTable(
        "names",
        pl.DataFrame({"symbol": list(symbols), "full_name": list(symbols.values())}),
        pl.DataFrame(pairs, {"synonym": pl.String, "symbol": pl.String}, orient="row"),
    )


def test_shared_sets_come_smallest_first_with_size_and_source() -> None:
    knowledge = Knowledge([sets("a", big=["A", "B", "C"], small=["A", "B"], other=["A", "C"])])
    shared = knowledge.shared_sets("A", "B")
    assert shared == [GeneSet("small", 2, "a"), GeneSet("big", 3, "a")]


def test_a_set_that_two_sources_name_alike_is_told_once() -> None:
    one = sets("go", **{"DNA repair (GO:0006281)": ["A", "B"]})
    two = sets("other", **{"dna repair": ["A", "B", "C"]})
    shared = Knowledge([one, two]).shared_sets("A", "B")
    assert [each.source for each in shared] == ["go"]


def test_a_set_that_is_too_large_tells_nothing() -> None:
    many = [f"G{i}" for i in range(LARGEST_SET + 1)]
    knowledge = Knowledge([sets("a", all=many, most=many[:-1])])
    assert [each.name for each in knowledge.shared_sets("G0", "G1")] == ["most"]


def test_a_synonym_stands_for_its_gene_in_every_source() -> None:
    told = names({"RACK1": "receptor"}, {"GNB2L1": "RACK1"})
    knowledge = Knowledge([told, sets("a", s=["GNB2L1", "B"]), network(("RACK1", "C"))])
    assert knowledge.shared_sets("RACK1", "B") == [GeneSet("s", 2, "a")]
    assert knowledge.full_name("GNB2L1") == Named("receptor", "names")
    path = knowledge.connection("GNB2L1", "C")
    assert path is not None
    assert path.distance == 1


def test_a_synonym_of_two_genes_and_one_that_is_a_symbol_stand_for_themselves() -> None:
    table = names({"A": "a", "B": "b", "C": "c"}, {"C": "A"})
    both = names({"D": None}, {"X": "A"})
    also = names({"E": None}, {"X": "B"})
    knowledge = Knowledge([table, both, also, sets("s", s=["X", "C"])])
    assert knowledge.full_name("X") is None
    assert knowledge.full_name("C") == Named("c", "names")


def test_the_gene_between_is_the_one_with_fewest_neighbours() -> None:
    hub = [("HUB", f"G{i}") for i in range(5)]
    edges = network(("A", "HUB"), ("HUB", "B"), ("A", "M"), ("M", "B"), *hub)
    path = Knowledge([edges]).connection("A", "B")
    assert path is not None
    assert (path.distance, path.through, path.source) == (2, "M", "net")


def test_a_gene_in_no_network_has_no_distance() -> None:
    knowledge = Knowledge([network(("A", "B")), sets("s", s=["C", "D"])])
    assert knowledge.connection("A", "C") is None
    assert knowledge.connection("A", "unheard of") is None
    assert knowledge.shared_sets("A", "unheard of") == []


@given(EDGES, st.sampled_from(GENES), st.sampled_from(GENES))
def test_distances_are_those_of_a_search_in_breadth(
    edges: list[tuple[str, str]], one: str, other: str
) -> None:
    edges = [(a, b) for a, b in edges if a != b]
    path = Knowledge([network(*edges)]).connection(one, other)
    reached, steps = {one}, 0
    while other not in reached and steps < 4:
        steps += 1
        reached |= {b for a, b in [*edges, *((b, a) for a, b in edges)] if a in reached}
    known = {gene for edge in edges for gene in edge}
    if one == other or not {one, other} <= known:
        assert path is None
    else:
        assert path is not None
        assert path.distance == (steps if steps <= 3 else None)


@given(EDGES)
def test_similarity_is_symmetric_between_0_and_1_and_1_with_itself(
    edges: list[tuple[str, str]],
) -> None:
    edges = [(a, b) for a, b in edges if a != b]
    pairs = {f"s{i}": list(pair) for i, pair in enumerate(pairwise(GENES[:5]))}
    knowledge = Knowledge([network(*edges), sets("s", **pairs)])
    symbols = knowledge.index.symbols
    table = np.array([knowledge.similarities(symbol) for symbol in symbols])
    assert np.allclose(table, table.T)
    assert table.min() >= 0
    assert table.max() <= 1 + 1e-9
    assert np.allclose(np.diag(table)[: len(GENES[:5])], 1)


def test_a_rare_set_makes_genes_more_similar_than_a_common_one() -> None:
    crowd = [f"X{i}" for i in range(50)]
    knowledge = Knowledge(
        [sets("s", rare=["A", "B"], common=["A", "C", *crowd[:30]], rest=[*crowd, "B", "C"])]
    )
    near = dict(zip(knowledge.index.symbols, knowledge.similarities("A"), strict=True))
    assert near["B"] > near["C"] > near["X40"] == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=20))
def test_rows_are_sorted_sets_and_turn_over(entries: list[tuple[int, int]]) -> None:
    pairs = np.array(entries, np.int64).reshape(-1, 2)
    rows = Rows.of(pairs[:, 0], pairs[:, 1], 6)
    for number in range(6):
        assert rows[number].tolist() == sorted({b for a, b in entries if a == number})
    turned = rows.transposed(6)
    assert [turned[n].tolist() for n in range(6)] == [
        sorted({a for a, b in entries if b == n}) for n in range(6)
    ]


def test_the_fingerprint_sees_names_and_bytes(tmp_path: Path) -> None:
    a, b = tmp_path / "a.gmt", tmp_path / "b.gmt"
    a.write_text("S\tx\tA\tB\n")
    b.write_text("S\tx\tA\tB\n")
    first = fingerprint([a])
    assert len(first) == 12
    assert first != fingerprint([b])
    a.write_text("S\tx\tA\tC\n")
    assert fingerprint([a]) != first


def test_a_folder_is_found_as_asked_then_by_variable_then_here_then_in_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SYNTHPERT_KNOWLEDGE", raising=False)
    assert find_knowledge().parent.name == "sample"
    (tmp_path / "data" / "knowledge").mkdir(parents=True)
    assert find_knowledge() == Path("data/knowledge")
    monkeypatch.setenv("SYNTHPERT_KNOWLEDGE", "mine")
    assert find_knowledge() == Path("mine")
    assert find_knowledge("theirs") == Path("theirs")


def test_reading_says_which_folder_and_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "s.gmt").write_text("S\tx\tA\tB\n")
    with caplog.at_level(logging.INFO):
        knowledge = Knowledge.read(tmp_path)
    assert knowledge.shared_sets("A", "B") == [GeneSet("S", 2, "s")]
    assert caplog.messages == [f"knowledge from {tmp_path} (as asked): 2 genes"]


def test_one_file_that_is_none_fails_the_folder(tmp_path: Path) -> None:
    (tmp_path / "s.gmt").write_text("S\tx\tA\tB\n")
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"table\.csv:1: no knowledge file"):
        Knowledge.read(tmp_path)


def test_a_folder_without_any_gene_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.tsv").write_text("gene1\tgene2\n")
    with pytest.raises(InputError, match="no gene in these files"):
        Knowledge.read(tmp_path)


def test_an_index_without_any_gene_finds_nothing() -> None:
    knowledge = Knowledge([network()])
    assert knowledge.connection("A", "B") is None
    assert knowledge.similarities("A").tolist() == []
