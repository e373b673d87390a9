"""The bundled knowledge: small, licensed, and enough for the bundled questions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from synthpert.knowledge import FactFinder, Kind, Knowledge, TrainOutcomes
from synthpert.knowledge.sources import EdgeList, NameTable, SetTable, knowledge_files, read_source
from synthpert.questions import read_questions, split_questions, to_questions

SAMPLE = Path(__file__).resolve().parents[2] / "synthpert" / "sample"
FOLDER = SAMPLE / "knowledge"


@pytest.fixture(scope="module")
def finder() -> FactFinder:
    return FactFinder(Knowledge.read(FOLDER), TrainOutcomes.read(SAMPLE))


def test_it_is_small_and_every_file_has_its_licence_in_the_readme() -> None:
    files = knowledge_files(FOLDER)
    readme = (FOLDER / "README.md").read_text()
    assert sum(path.stat().st_size for path in files) < 250_000
    assert all(f"`{path.name}`" in readme for path in files)
    assert {type(read_source(path)) for path in files} == {SetTable, EdgeList, NameTable}


def test_nothing_in_it_forbids_commercial_use() -> None:
    names = " ".join(path.name for path in FOLDER.iterdir()).lower()
    assert "corum" not in names
    assert "Non-Commercial" not in (FOLDER / "README.md").read_text()


def test_it_tells_something_of_the_questions_of_the_sample(finder: FactFinder) -> None:
    test = split_questions(read_questions(SAMPLE))[1].sample(500, seed=0)
    kinds = Counter[Kind]()
    for question in to_questions(test):
        kinds.update({fact.kind for fact in finder.facts(question).facts})
    assert kinds[Kind.RATE] > 0.5 * 500
    assert kinds[Kind.NAME] > 0.9 * 500
    assert kinds[Kind.NETWORK] > 0.3 * 500
    assert min(kinds[Kind.SET], kinds[Kind.SIMILAR], kinds[Kind.SAME]) > 0
