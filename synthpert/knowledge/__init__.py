"""What is known about genes, and what the train split says: facts for a question, with sources.

`find_knowledge` finds a folder, `Knowledge.read` reads it, `TrainOutcomes` holds the train split,
and `FactFinder(knowledge, outcomes).facts(question)` gives the `Facts` of one question.
"""

from __future__ import annotations

from synthpert.knowledge.facts import Fact, FactFinder, Facts, Kind
from synthpert.knowledge.graph import Connection, GeneSet, Knowledge, Named, find_knowledge
from synthpert.knowledge.outcomes import TrainOutcomes

__all__ = [
    "Connection",
    "Fact",
    "FactFinder",
    "Facts",
    "GeneSet",
    "Kind",
    "Knowledge",
    "Named",
    "TrainOutcomes",
    "find_knowledge",
]
