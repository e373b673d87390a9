"""What is asked of whom: the calls of one question, as teacher and critics are asked them.

Pure, so that asking (`make`) and reading the journal (`export`) cannot come to differ: both walk
the same questions and build the same calls, and a call's key finds its reply.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from synthpert.errors import InputError
from synthpert.prompts import PromptSet, load_prompts
from synthpert.prompts.evidence import Evidence
from tools.traces.engines.offline import KNOWLEDGE, bind
from tools.traces.journal.records import Call

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from synthpert.answers import Grade
    from synthpert.questions import Label, Question
    from tools.traces.settings import Model, Settings


@dataclass(frozen=True)
class Recipe:
    """How a trace is made, and which one is kept.

    Attributes:
        prompts: The texts.
        teacher: Who explains.
        critics: Who grade; none at all where only the answer counts.
        label_blind: Whether the teacher has to predict the outcome (the paper's approach 1).
        grades: The grades to keep.
        least_words: A thought of fewer words is rejected.
    """

    prompts: PromptSet
    teacher: Model
    critics: Sequence[Model]
    label_blind: bool
    grades: tuple[Grade, ...]
    least_words: int

    @classmethod
    def of(cls, settings: Settings) -> Recipe:
        """Read the prompts that the settings name.

        Args:
            settings: Prompts, models and what is kept.

        Raises:
            InputError: If there is no such prompt set, or it has no texts for a teacher or critic.
        """
        evidence = Evidence(settings.knowledge, settings.data, settings.split)
        prompts = load_prompts(settings.prompts, evidence)
        # Reads the evidence, so that what is wrong with it is said before anything is asked.
        prompts.prompt_id  # noqa: B018
        needed = ["predictor_system" if settings.label_blind else "generator_system"]
        needed += ["critic_system", "critic_user"] if settings.critics else []
        for name in needed:
            if getattr(prompts, name) is None:
                raise InputError(
                    "no such text in the prompt set",
                    file=settings.prompts,
                    column=name,
                    expected="a set for teachers and critics, such as paper",
                )
        places = (settings.knowledge, settings.data, settings.split)
        teacher, *critics = with_facts([settings.teacher, *settings.critics], *places)
        return cls(
            prompts,
            teacher,
            critics,
            settings.label_blind,
            settings.kept_grades,
            settings.least_words,
        )

    @property
    def models(self) -> list[Model]:
        """Everybody who may be asked."""
        return [self.teacher, *self.critics]

    def teacher_call(self, question: Question, label: Label, sample: int) -> Call:
        """Ask the teacher: to explain the outcome or, label-blind, to predict and explain it.

        Args:
            question: What is asked.
            label: The outcome; told unless the recipe is label-blind.
            sample: Counts the samples of one question.
        """
        messages = (
            self.prompts.predictor_messages(question)
            if self.label_blind
            else self.prompts.generator_messages(question, label)
        )
        return Call(
            role="teacher",
            question=question,
            label=label,
            sample=sample,
            to=self.teacher,
            messages=messages,
            prompt_id=self.prompts.prompt_id,
        )

    def critic_calls(self, asked: Call, thinking: str) -> list[Call]:
        """Ask every critic to grade a teacher's reasoning.

        Args:
            asked: The teacher's call.
            thinking: The reasoning, without its tags.
        """
        assert asked.label is not None
        messages = self.prompts.critic_messages(asked.question, thinking)
        names = [critic.identity for critic in self.critics]
        return [
            Call(
                role="critic",
                question=asked.question,
                label=asked.label,
                # Two critics that are the same model are two samples of it.
                sample=names[:place].count(names[place]),
                to=critic,
                messages=messages,
                prompt_id=self.prompts.prompt_id,
                parent=asked.key,
            )
            for place, critic in enumerate(self.critics)
        ]


def with_facts(
    models: Sequence[Model], knowledge: Path | None, data: Path | None, split: str
) -> list[Model]:
    """Let `offline/knowledge`, where it is among the models, read its facts.

    Args:
        models: Who is to be asked.
        knowledge: Folder of knowledge files.
        data: Folder of the benchmark.
        split: Whose train part may be looked at.

    Returns:
        The models; the key of `offline/knowledge` names its facts.

    Raises:
        InputError: If a folder, a file or the split is wrong.
    """
    if not any(model.model == KNOWLEDGE for model in models):
        return list(models)
    from tools.traces.offline.knowledge import KnowledgeTeacher

    teacher = KnowledgeTeacher.read(knowledge, data, split)
    bind(KNOWLEDGE, teacher.reply)
    # Other facts give other replies: as a parameter they are part of a call's key.
    facts = {"facts": teacher.fingerprint}
    return [
        replace(model, parameters=model.parameters | facts) if model.model == KNOWLEDGE else model
        for model in models
    ]
