"""What is asked of whom: the calls of one question, as teacher and critic are asked them.

Pure, so that asking (`make`) and reading the journal (`export`) cannot come to differ: both walk
the same questions and build the same calls, and a call's key finds its reply.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from synthpert.errors import InputError
from synthpert.prompts import PromptSet, load_prompts
from tools.traces.journal import Call

if TYPE_CHECKING:
    from synthpert.questions import Label, Question
    from tools.traces.settings import Model, Settings


@dataclass(frozen=True)
class Recipe:
    """How a trace is made.

    Attributes:
        prompts: The texts.
        teacher: Who explains.
        critic: Who grades.
    """

    prompts: PromptSet
    teacher: Model
    critic: Model

    @classmethod
    def of(cls, settings: Settings) -> Recipe:
        """Read the prompts that the settings name.

        Args:
            settings: Prompts, teacher and critic.

        Raises:
            InputError: If there is no such prompt set, or it has no texts for a teacher or critic.
        """
        prompts = load_prompts(settings.prompts)
        for name in ("generator_system", "critic_system", "critic_user"):
            if getattr(prompts, name) is None:
                raise InputError(
                    "no such text in the prompt set",
                    file=settings.prompts,
                    column=name,
                    expected="a set for teachers and critics, such as paper",
                )
        return cls(prompts, settings.teacher, settings.critic)

    def teacher_call(self, question: Question, label: Label, sample: int) -> Call:
        """Ask the teacher to explain the outcome (the paper's approach 2).

        Args:
            question: What is asked.
            label: The outcome.
            sample: Counts the samples of one question.
        """
        return Call(
            role="teacher",
            question=question,
            label=label,
            sample=sample,
            model=self.teacher.model,
            parameters=self.teacher.told,
            messages=self.prompts.generator_messages(question, label),
            prompt_id=self.prompts.prompt_id,
        )

    def critic_call(self, question: Question, label: Label, sample: int, thinking: str) -> Call:
        """Ask the critic to grade a teacher's reasoning.

        Args:
            question: What the teacher was asked.
            label: The outcome.
            sample: Which of the teacher's samples it is.
            thinking: The reasoning, without its tags.
        """
        return Call(
            role="critic",
            question=question,
            label=label,
            sample=sample,
            model=self.critic.model,
            parameters=self.critic.told,
            messages=self.prompts.critic_messages(question, thinking),
            prompt_id=self.prompts.prompt_id,
        )
