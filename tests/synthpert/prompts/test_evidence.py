"""Evidence in prompts: what it says, how much of it, and that no test label can reach it."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from repository import ROOT
from tiny import write_benchmark

from synthpert.errors import InputError
from synthpert.knowledge import FactFinder, Knowledge, TrainOutcomes
from synthpert.prompts import evidence, load_prompts
from synthpert.prompts.evidence import Evidence
from synthpert.questions import (
    KEY,
    LABELS,
    Question,
    read_questions,
    split_questions,
    to_questions,
)

SPLITS = ("default", "strict", "held_out:rpe1")
TURNED = {str(label): str(LABELS[i - 1]) for i, label in enumerate(LABELS)}

Change = Callable[[pl.DataFrame, pl.Expr], pl.DataFrame]


def write_knowledge(folder: Path) -> Path:
    """Two sets and a network over the genes of `write_benchmark`."""
    folder.mkdir(parents=True, exist_ok=True)
    perts = "\t".join([f"P{i}" for i in range(8)] + ["T0", "T1"])
    (folder / "pathways.gmt").write_text(
        f"Ribosome\tx\t{perts}\tG0\tG1\nSpliceosome\tx\tP1\tP2\tT2\tG2\n"
    )
    edges = "".join(f"P{i}\tP{i + 1}\n" for i in range(11)) + "P0\tT0\nT0\tG0\nP3\tG3\nT1\tG3\n"
    (folder / "network.tsv").write_text("gene1\tgene2\n" + edges)
    return folder


@pytest.fixture(scope="module")
def knowledge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_knowledge(tmp_path_factory.mktemp("evidence") / "knowledge")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_benchmark(tmp_path_factory.mktemp("evidence") / "data")


def turned(table: pl.DataFrame, which: pl.Expr) -> pl.DataFrame:
    """Every label of some rows changed to another."""
    other = pl.col("label").cast(pl.String).replace(TURNED).cast(table.schema["label"])
    return table.with_columns(label=pl.when(which).then(other).otherwise(pl.col("label")))


def dropped(table: pl.DataFrame, which: pl.Expr) -> pl.DataFrame:
    # One row stays: a cell line without any is refused when it is read.
    return table.filter(~which | pl.int_range(pl.len()).over("cell_line").eq(0))


def write_back(table: pl.DataFrame, folder: Path) -> Path:
    """Questions as PerturbQA ships them."""
    folder.mkdir()
    changed = pl.col("label") != str(LABELS[0])
    for (line,), rows in table.group_by("cell_line"):
        de = rows.select("pert", "gene", label=changed.cast(int), split="split")
        up = (pl.col("label") == str(LABELS[1])).cast(int)
        direction = rows.filter(changed).select("pert", "gene", label=up, split="split")
        de.write_csv(folder / f"{line}-de.csv")
        direction.write_csv(folder / f"{line}-dir.csv")
    return folder


def in_the_test_part(table: pl.DataFrame, split: str) -> pl.Expr:
    if split.startswith("held_out"):
        return pl.col("cell_line") == split.partition(":")[2]
    return pl.col("split") == "test"


def blocks(where: Evidence, questions: Sequence[Question]) -> list[str]:
    return [where.block(question) for question in questions]


@pytest.mark.parametrize(
    ("split", "change"),
    # Strict without its test rows would be another split, with more to train on.
    [*((split, turned) for split in SPLITS), ("default", dropped), ("held_out:rpe1", dropped)],
)
def test_no_test_row_can_reach_the_evidence_of_the_sample(
    split: str, change: Change, tmp_path: Path
) -> None:
    whole = read_questions()
    other = write_back(change(whole, in_the_test_part(whole, split)), tmp_path / "other")
    asked = to_questions(split_questions(whole, split)[1].sample(200, seed=0))
    told = blocks(Evidence(split=split), asked)
    assert told == blocks(Evidence(data=other, split=split), asked)
    assert sum(text != evidence.NOTHING for text in told) > len(told) / 2


def test_the_labels_of_train_rows_do_reach_it(tmp_path: Path) -> None:
    whole = read_questions()
    other = write_back(turned(whole, pl.col("split") == "train"), tmp_path / "other")
    asked = to_questions(whole.filter(pl.col("split") == "test").gather_every(31))
    assert blocks(Evidence(), asked) != blocks(Evidence(data=other), asked)


def test_the_label_of_a_train_question_is_not_in_its_own_evidence(
    knowledge: Path, data: Path
) -> None:
    known = Knowledge.read(knowledge)
    train, _ = split_questions(read_questions(data))
    plain = FactFinder(known, TrainOutcomes(train))
    for row, question in enumerate(to_questions(train)):
        own = pl.int_range(pl.len()) == row
        changed = FactFinder(known, TrainOutcomes(turned(train, own)))
        assert changed.facts(question).lines() == plain.facts(question).lines()


def test_the_labels_of_real_train_questions_are_not_in_their_own_evidence() -> None:
    known = Knowledge.read()
    train, _ = split_questions(read_questions())
    plain = FactFinder(known, TrainOutcomes(train))
    # By gene and line one at a time: facts look at other rows of the same gene.
    asked = train.with_row_index("row").group_by("gene", maintain_order=True).first().head(200)
    changed = FactFinder(
        known, TrainOutcomes(turned(train, pl.int_range(pl.len()).is_in(asked["row"].implode())))
    )
    for question in to_questions(asked.select(KEY)):
        assert changed.facts(question).lines() == plain.facts(question).lines()


def test_no_label_of_its_own_fold_is_in_the_evidence_of_a_question(tmp_path: Path) -> None:
    whole = read_questions()
    perts = whole["pert"].unique().to_list()
    folds = {pert: int(hashlib.sha256(pert.encode()).hexdigest()[:16], 16) % 10 for pert in perts}
    fold = pl.col("pert").replace_strict(folds, return_dtype=pl.Int64)
    for number in (0, 7):
        asked = to_questions(whole.filter(fold == number).sample(60, seed=0))
        # The same knockdown in other lines is told of; here each pair is asked about in all lines.
        others = pl.struct("pert", "gene").is_in([{"pert": q.pert, "gene": q.gene} for q in asked])
        table = turned(whole, (fold == number) & ~others)
        other = write_back(table, tmp_path / f"fold{number}")
        assert blocks(Evidence(), asked) == blocks(Evidence(data=other), asked)


def test_it_names_shared_sets_and_train_outcomes(knowledge: Path, data: Path) -> None:
    text = Evidence(knowledge, data).block(Question("k562", "T0", "G0"))
    assert "Ribosome" in text
    assert "G0" in text
    assert all(line.startswith("- ") for line in text.splitlines())


def test_nothing_known_is_said(knowledge: Path, data: Path) -> None:
    text = Evidence(knowledge, data).block(Question("k562", "NOSUCH1", "NOSUCH2"))
    assert text == evidence.NOTHING


@given(st.lists(st.text(max_size=400), max_size=40))
def test_the_block_is_bounded_and_free_of_tags(lines: list[str]) -> None:
    text = evidence._fitting(lines)
    assert text
    assert len(text) <= evidence.MOST_CHARACTERS
    assert len(text.splitlines()) <= evidence.MOST_LINES
    assert "<" not in text


def test_what_comes_first_is_kept_whole() -> None:
    lines = [f"{i} " + "x" * 200 for i in range(20)]
    kept = evidence._fitting(lines).splitlines()
    assert kept == [f"- {line}" for line in lines[: len(kept)]]
    assert len(kept) == 5


def test_the_fingerprint_is_of_knowledge_train_rows_and_split(
    knowledge: Path, data: Path, tmp_path: Path
) -> None:
    more = write_knowledge(tmp_path / "more")
    (more / "more.gmt").write_text("Proteasome\tx\tP1\tG1\n")
    whole = read_questions(data)
    train = write_back(turned(whole, pl.col("split") == "train"), tmp_path / "train")
    same = write_back(turned(whole, pl.col("split") == "test").reverse(), tmp_path / "test")
    first = Evidence(knowledge, data).fingerprint
    others = [Evidence(more, data), Evidence(knowledge, train), Evidence(knowledge, data, "strict")]
    assert len({first, *(each.fingerprint for each in others)}) == 4
    assert Evidence(knowledge, same).fingerprint == first


def test_another_split_is_another_prompt_set(knowledge: Path, data: Path) -> None:
    ids = {
        load_prompts("paper_context", Evidence(knowledge, data, split)).prompt_id
        for split in SPLITS
    }
    assert len(ids) == 3


def test_it_travels_to_another_process_as_three_names(knowledge: Path, data: Path) -> None:
    where = Evidence(knowledge, data)
    told = where.block(Question("k562", "T0", "G0"))
    packed = pickle.dumps(where)
    assert len(packed) < 1000
    assert pickle.loads(packed).block(Question("k562", "T0", "G0")) == told


def test_another_process_says_the_same(knowledge: Path, data: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from synthpert.prompts.evidence import Evidence;"
        "from synthpert.questions import Question;"
        "where = Evidence(Path(sys.argv[1]), Path(sys.argv[2]));"
        "sys.stdout.write(where.fingerprint + where.block(Question('k562', 'T0', 'G0')))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code, str(knowledge), str(data)],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    where = Evidence(knowledge, data)
    assert told == {where.fingerprint + where.block(Question("k562", "T0", "G0"))}


def test_the_files_are_found_as_elsewhere(
    knowledge: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNTHPERT_KNOWLEDGE", str(knowledge))
    monkeypatch.setenv("SYNTHPERT_DATA", str(data))
    assert Evidence().fingerprint == Evidence(knowledge, data).fingerprint


def test_a_folder_that_is_not_there_is_refused_when_it_is_read(data: Path, tmp_path: Path) -> None:
    prompts = load_prompts("paper_context", Evidence(tmp_path / "none", data))
    with pytest.raises(InputError, match="none") as caught:
        prompts.messages(Question("k562", "T0", "G0"))
    assert "\n" not in str(caught.value)


def test_a_split_that_is_not_there_is_refused(knowledge: Path, data: Path) -> None:
    with pytest.raises(InputError, match="unknown split"):
        Evidence(knowledge, data, "other").block(Question("k562", "T0", "G0"))
