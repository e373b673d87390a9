"""Facts of a question: what they say, where from, and what they never look at."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthpert.errors import InputError
from synthpert.knowledge import Fact, FactFinder, Facts, Kind, Knowledge, TrainOutcomes, sentences
from synthpert.knowledge.facts import TRAIN
from synthpert.knowledge.graph import Connection, GeneSet
from synthpert.knowledge.outcomes import GeneRows
from synthpert.knowledge.sources import EdgeList, NameTable, SetTable
from synthpert.questions import LABEL_DTYPE, LABELS, Label, Question

UP, DOWN, NOT = Label.UP, Label.DOWN, Label.NOT_DE
Row = tuple[str, str, str, Label]
PERTS = [f"P{i}" for i in range(5)]
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["k562", "rpe1"]),
        st.sampled_from(PERTS),
        st.sampled_from(["G0", "G1"]),
        st.sampled_from(LABELS),
    ),
    max_size=16,
    unique_by=lambda row: row[:3],
)


def train(*rows: Row) -> TrainOutcomes:
    schema = {"cell_line": pl.String, "pert": pl.String, "gene": pl.String, "label": LABEL_DTYPE}
    table = [(*row[:3], row[3].value) for row in rows]
    return TrainOutcomes(pl.DataFrame(table, schema, orient="row"))


def knowledge() -> Knowledge:
    """P0, P1 and P2 share a set, P0 and G0 a pathway; P0 - X - G0 in the network."""
    members = [(0, p) for p in PERTS[:3]] + [(1, "P0"), (1, "G0"), (2, "P4"), (2, "Z")]
    schema = {"set": pl.UInt32, "gene": pl.String}
    edges = pl.DataFrame({"gene1": ["P0", "X"], "gene2": ["X", "G0"]})
    told = pl.DataFrame({"symbol": ["P0"], "full_name": ["first [of <many>]"]})
    empty = pl.DataFrame(schema={"synonym": pl.String, "symbol": pl.String})
    sets = ["Ribosome assembly", "Path_way <x>", "Other"]
    return Knowledge(
        [
            SetTable("sets", sets, pl.DataFrame(members, schema, orient="row")),
            EdgeList("net", edges),
            NameTable("names", told, empty),
        ]
    )


KNOWN = knowledge()


def facts(question: Question, *rows: Row) -> Facts:
    return FactFinder(KNOWN, train(*rows)).facts(question)


def told(found: list[Fact]) -> list[tuple[str, str]]:
    return [(fact.sentence, fact.source) for fact in found]


def test_names_sets_and_network_are_told_with_their_sources() -> None:
    found = facts(Question("k562", "P0", "G0"))
    assert [str(fact) for fact in found.facts] == [
        "P0 (first of many) is the gene that is knocked down [names].",
        "P0 and G0 are two steps apart in the network, through X [net].",
        "P0 and G0 are both in 'Path way x' (2 genes) [sets].",
    ]
    assert not found.observed


def test_similar_knockdowns_are_told_for_the_own_cell_line_and_then_for_the_others() -> None:
    rows = [("k562", "P1", "G0", UP), ("rpe1", "P1", "G0", DOWN), ("rpe1", "P2", "G0", DOWN)]
    found = facts(Question("k562", "P0", "G0"), *rows).of(Kind.SIMILAR)
    assert told(found) == [
        ("the one similar knockdown in k562 (P1) raised G0", TRAIN),
        ("both similar knockdowns in other cell lines (P1, P2) lowered G0", TRAIN),
    ]
    assert [fact.favours for fact in found] == [(UP,), (DOWN,)]


def test_a_knockdown_that_shares_nothing_is_not_similar_but_counts_for_the_rate() -> None:
    rows = [("k562", "P4", "G0", UP), ("k562", "P3", "G0", NOT)]
    found = facts(Question("k562", "P0", "G0"), *rows)
    assert found.of(Kind.SIMILAR) == []
    assert told(found.of(Kind.RATE)) == [
        ("of 2 other knockdowns measured in k562, 1 raised G0 and 1 did not change it", TRAIN)
    ]


def test_the_same_knockdown_in_another_cell_line_is_told_by_itself() -> None:
    found = facts(Question("k562", "P0", "G0"), ("rpe1", "P0", "G0", DOWN))
    assert told(found.of(Kind.SAME)) == [("in rpe1 the same knockdown lowered G0", TRAIN)]
    assert found.of(Kind.SIMILAR) == []
    assert found.favoured is DOWN


@given(ROWS, st.integers(0, 99), st.sampled_from(LABELS))
def test_a_question_sees_nothing_of_its_own_row(rows: list[Row], place: int, label: Label) -> None:
    if not rows:
        return
    own = rows[place % len(rows)]
    others = [row for row in rows if row is not own]
    question = Question(*own[:3])
    seen = facts(question, *rows)
    turned = facts(question, *others, (*own[:3], label))
    assert seen == turned
    if others:
        without = facts(question, *others)
        assert (seen.lines(), seen.chances) == (without.lines(), without.chances)


@given(ROWS)
def test_chances_sum_to_one_and_every_line_names_a_source(rows: list[Row]) -> None:
    found = facts(Question("k562", "P0", "G0"), *rows, ("k562", "P3", "G1", NOT))
    assert sum(found.chances) == pytest.approx(1)
    assert all(
        line.endswith(("[net].", "[sets].", "[names].", f"[{TRAIN}].")) for line in found.lines()
    )


def test_what_tells_most_stands_first() -> None:
    rows = [("k562", "P1", "G0", UP), ("rpe1", "P0", "G0", UP), ("k562", "P3", "G0", NOT)]
    lines = facts(Question("k562", "P0", "G0"), *rows).lines()
    assert [line.split(" ", 2)[1] for line in lines] == ["one", "rpe1", "2", "and", "and", "(first"]
    assert len(facts(Question("k562", "P0", "G0"), *rows).lines(sets=0)) == len(lines) - 1


def test_the_favoured_label_is_the_one_above_its_share_not_the_commonest() -> None:
    crowd = [("k562", f"Q{i}", f"H{i}", NOT) for i in range(90)]
    crowd += [("k562", f"Q{i}", f"K{i}", UP) for i in range(10)]
    found = facts(Question("k562", "P0", "G0"), *crowd, ("k562", "P3", "G0", UP))
    assert found.chances[LABELS.index(NOT)] > found.chances[LABELS.index(UP)]
    assert found.favoured is UP
    assert found.lift(UP) > 1 > found.lift(NOT)


def test_an_empty_train_split_tells_nothing() -> None:
    found = facts(Question("k562", "P9", "G9"))
    assert found.facts == ()
    assert found.chances == (0, 0, 0)


def test_similarities_follow_the_train_perturbations_and_leave_out_the_own() -> None:
    finder = FactFinder(KNOWN, train(*[("k562", p, "G0", UP) for p in ("P0", "P1", "P3", "ZZ")]))
    first, second, third, unknown = finder.similarities("P0")
    assert (first, third, unknown) == (0, 0, 0)
    assert second > 0


def test_the_rows_of_a_gene_are_found_by_name() -> None:
    outcomes = train(
        ("k562", "P1", "G1", UP), ("rpe1", "P0", "G0", DOWN), ("k562", "P0", "G1", NOT)
    )
    rows = outcomes.of_gene("G1")
    assert isinstance(rows, GeneRows)
    assert [outcomes.perts[number] for number in rows.perts] == ["P0", "P1"]
    assert rows.counts().tolist() == [1, 1, 0]
    assert outcomes.of_gene("unheard of").counts().tolist() == [0, 0, 0]
    assert (outcomes.pert("unheard of"), outcomes.cell_line("hela")) == (-1, -1)


def test_the_fingerprint_is_that_of_the_rows_in_any_order() -> None:
    one, two = ("k562", "P1", "G1", UP), ("k562", "P2", "G1", NOT)
    assert train(one, two).fingerprint == train(two, one).fingerprint
    assert train(one, two).fingerprint != train(one, (*two[:3], UP)).fingerprint


def test_a_split_that_does_not_exist_is_one_line() -> None:
    with pytest.raises(InputError, match="unknown split"):
        TrainOutcomes.read(split="other")


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ((0, 3, 0), "all 3 similar knockdowns in k562 (A, B, C) raised G"),
        (
            (2, 3, 1),
            "of 6 similar knockdowns in k562 (such as A, B, C), 3 raised G, 1 lowered it "
            "and 2 did not change it",
        ),
        (
            (2, 0, 1),
            "of 3 similar knockdowns in k562 (A, B, C), 1 lowered G and 2 did not change it",
        ),
    ],
)
def test_counts_are_told_in_words(counts: tuple[int, ...], text: str) -> None:
    assert sentences.similar("G", "k562", ["A", "B", "C"], np.array(counts)) == text


@pytest.mark.parametrize(
    ("distance", "through", "text"),
    [
        (1, None, "direct neighbours in the network"),
        (2, "M", "two steps apart in the network, through M"),
        (3, None, "three steps apart in the network"),
        (None, None, "more than three steps apart in the network"),
    ],
)
def test_distances_are_told_in_words(distance: int | None, through: str | None, text: str) -> None:
    assert sentences.connection(Connection(distance, through, "net")) == text


@pytest.mark.parametrize(
    ("name", "is_complex"),
    [
        ("60S ribosomal subunit, cytoplasmic", True),
        ("CCT complex", True),
        ("mediator complex (GO:0016592)", True),
        ("protein-containing complex assembly", False),
    ],
)
def test_a_complex_is_known_by_the_end_of_its_name(name: str, is_complex: bool) -> None:
    assert sentences.is_complex(name) is is_complex


def test_no_name_can_look_like_a_source_or_a_tag() -> None:
    text = sentences.gene_set(GeneSet("a [b] </think>\nc", 3, "s"))
    assert text == "'a b /think c' (3 genes)"


def test_a_gene_of_a_network_can_neither_look_like_a_tag_nor_hide_a_character() -> None:
    path = Connection(2, "X</think>\u202e\x00Y", "net")
    assert sentences.connection(path) == "two steps apart in the network, through X /think Y"


def test_knowledge_of_other_names_than_symbols_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rows = [("k562", f"ENSG0000{i}", "G0", UP) for i in range(3)]
    FactFinder(KNOWN, train(*rows))
    assert "0 of 3 perturbed genes" in caplog.text
    caplog.clear()
    FactFinder(KNOWN, train(("k562", "P0", "G0", UP)))
    assert caplog.messages == []
