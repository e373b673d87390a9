"""What a journal tells of the traces that are planned: how far they are, what replies took."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tools.traces.journal import Journal
from tools.traces.journal.records import State
from tools.traces.plan.estimates import Range, mean_of
from tools.traces.walk import walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synthpert.questions import Label, Question
    from tools.traces.recipe import Recipe
    from tools.traces.settings import Settings
    from tools.traces.walk import Walk

_FIGURES = ("prompt_tokens", "completion_tokens", "seconds")


@dataclass
class Experience:
    """What a journal says of the traces that are planned. A place is 0, the teacher, or a critic's.

    Attributes:
        waiting: How many traces wait for a reply of each place.
        went_on: For each reply of the teacher 1.0 if it goes to the critics, else 0.0.
        figures: What replies took, by place and column.
        spent: US dollars.
    """

    waiting: Counter[int] = field(default_factory=Counter)
    went_on: list[float] = field(default_factory=list)
    figures: defaultdict[tuple[int, str], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )
    spent: float = 0.0

    def mean(self, place: int, column: str) -> Range | None:
        """Estimate what a reply takes.

        Args:
            place: Whose reply.
            column: Of the journal.

        Returns:
            None if there are too few replies.
        """
        return mean_of(self.figures[place, column])


def gather(
    settings: Settings, recipe: Recipe, drawn: Sequence[tuple[Question, Label]]
) -> Experience:
    """Read how far the planned traces have come, and what their replies took.

    Args:
        settings: Where the journal is; there need not be one.
        recipe: What is asked.
        drawn: The questions.

    Returns:
        All of it waiting for the teacher, if there is no journal yet.

    Raises:
        InputError: If the file is no journal.
    """
    seen = Experience()
    if not settings.journal.is_file():
        seen.waiting[0] = len(drawn) * settings.samples
        return seen
    with Journal(settings.journal) as journal:
        seen.spent = journal.spent()
        for question, label in drawn:
            for sample in range(settings.samples):
                place, waits = _come_to(walk(recipe, question, label, sample), journal)
                seen.waiting[place] += waits
                if place > 0 or not waits:
                    seen.went_on.append(float(place > 0))
        _take_figures(seen, recipe, journal)
    return seen


def _take_figures(seen: Experience, recipe: Recipe, journal: Journal) -> None:
    """Of replies to the same prompts by the same model with the same parameters."""
    who = [("critic" if place else "teacher", model) for place, model in enumerate(recipe.models)]
    for row in journal.rows():
        if row["state"] != State.ANSWERED or row["prompt_id"] != recipe.prompts.prompt_id:
            continue
        asked = (row["role"], row["model"], json.loads(row["parameters"]))
        for place, (role, model) in enumerate(who):
            if asked == (role, model.model, model.told):
                # What a batch took is no one's time for a reply.
                for name in _FIGURES[: 2 if row["batch"] else 3]:
                    if row[name] is not None:
                        seen.figures[place, name].append(row[name])


def _come_to(steps: Walk, journal: Journal) -> tuple[int, bool]:
    """Whose reply a walk came to, and whether it still waits for that."""
    call, place = next(steps), 0
    while (reply := journal.answer(call.key)) is not None:
        try:
            call = steps.send(reply)
        except StopIteration:
            return place, False
        place += 1
    return place, True
