"""Named prompt sets (`configs/prompts/*.yaml`), rendered to chat messages.

A slot is a known name in braces, `{gene}`. Slots are filled in one pass over the set's text, never
over what was filled in, so braces or slot-like text in a gene name or a thought stay as they are.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypedDict

from synthpert.answers import parse_answer
from synthpert.errors import InputError
from synthpert.prompts.evidence import Evidence
from synthpert.prompts.files import SLOT, SLOTS, read_texts
from synthpert.questions import Label, Question

if TYPE_CHECKING:
    from pathlib import Path


class Message(TypedDict):
    """One turn of a chat: `role` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True)
class PromptSet:
    """The texts of one way to ask the question, with its teacher's and critic's where it has them.

    Args:
        name: The file's name without its suffix.
        source: Where the texts come from; not sent to any model.
        system: The system message; none is sent if empty.
        user: The question, with the slots `{cell_line}`, `{pert}` and `{gene}`. It and the system
            messages may also have `{evidence}`: what is known beforehand, a fact a line.
        answer: How an answer is written, with the slot `{label}`.
        labels: The text of each label that may be answered.
        generator_system: The system message of a teacher who is told the `{label}`.
        predictor_system: The system message of a teacher who is not told it.
        critic_system: The critic's system message.
        critic_user: What the critic is asked, with the slots `{user_query}` and `{thinking}`.
        evidence: Fills the slot `{evidence}`.
    """

    name: str
    user: str
    source: str = ""
    system: str = ""
    answer: str = "<answer>{label}</answer>"
    labels: dict[Label, str] = field(default_factory=lambda: {each: str(each) for each in Label})
    generator_system: str | None = None
    predictor_system: str | None = None
    critic_system: str | None = None
    critic_user: str | None = None
    evidence: Evidence | None = None

    @cached_property
    def prompt_id(self) -> str:
        """The name and 12 hex digits of the SHA-256 of all text a model sees or is to write.

        Evidence counts by its fingerprint, so to ask for the id of a set with evidence reads it.
        """
        texts = {key: getattr(self, key) for key in SLOTS}
        texts |= {str(label): self.labels.get(label) for label in Label}
        if self.needs_evidence:
            texts["evidence"] = self._evidence.fingerprint
        canonical = "\x1f".join(f"{key}={text}" for key, text in texts.items() if text is not None)
        canonical = canonical.replace("\r\n", "\n").replace("\r", "\n")
        return f"{self.name}-{hashlib.sha256(canonical.encode()).hexdigest()[:12]}"

    @cached_property
    def needs_evidence(self) -> bool:
        """Whether a text of this set has the slot `{evidence}`."""
        return any("evidence" in SLOT.findall(getattr(self, key) or "") for key in SLOTS)

    @property
    def answer_prefix(self) -> str:
        """The text of `answer` before the label."""
        return self.answer.partition("{label}")[0]

    @property
    def answer_suffix(self) -> str:
        """The text of `answer` after the label."""
        return self.answer.partition("{label}")[2]

    def messages(self, question: Question) -> list[Message]:
        """Ask the question.

        Args:
            question: Fills the slots of `system` and `user`.

        Returns:
            The system message, if the set has one, and the user's.
        """
        values = self._values(question)
        return _chat(_fill(self.system, values), _fill(self.user, values))

    def answer_text(self, label: Label) -> str:
        """Write a label as this set wants it answered, for example `<answer>upregulated</answer>`.

        Args:
            label: The answer.

        Returns:
            The text that follows the thought.

        Raises:
            InputError: If the set has no such label, as `direction` has no "not DE".
        """
        if label not in self.labels:
            known = ", ".join(self.labels.values())
            raise InputError(f"prompt set {self.name} has no such label", got=label, expected=known)
        return self.answer_prefix + self.labels[label] + self.answer_suffix

    def generator_messages(self, question: Question, label: Label) -> list[Message]:
        """Ask a teacher who is told the outcome to explain it (the paper's approach 2).

        Args:
            question: Fills the slots of `generator_system` and `user`.
            label: The outcome the teacher is told, in the official words.

        Returns:
            A system and a user message.

        Raises:
            InputError: If the set has no text for such a teacher.
        """
        system = self._text("generator_system")
        values = self._values(question)
        return _chat(_fill(system, values | {"label": str(label)}), _fill(self.user, values))

    def predictor_messages(self, question: Question) -> list[Message]:
        """Ask a teacher who is not told the outcome to predict and explain it (approach 1).

        Args:
            question: Fills the slots of `predictor_system` and `user`.

        Returns:
            A system and a user message.

        Raises:
            InputError: If the set has no text for such a teacher.
        """
        values = self._values(question)
        return _chat(_fill(self._text("predictor_system"), values), _fill(self.user, values))

    def critic_messages(self, question: Question, thinking: str) -> list[Message]:
        """Ask a critic to grade a thought.

        Args:
            question: What the thought is about.
            thinking: The thought, without its tags.

        Returns:
            A system and a user message.

        Raises:
            InputError: If the set has no text for a critic.
        """
        values = {"user_query": _fill(self.user, self._values(question)), "thinking": thinking}
        return _chat(self._text("critic_system"), _fill(self._text("critic_user"), values))

    def _text(self, key: str) -> str:
        text: str | None = getattr(self, key)
        if text is None:
            raise InputError(f"prompt set {self.name} has no {key}", expected="a set such as paper")
        return text

    def _values(self, question: Question) -> dict[str, str]:
        values = {"cell_line": question.cell_line, "pert": question.pert, "gene": question.gene}
        if self.needs_evidence:
            values["evidence"] = self._evidence.block(question)
        return values

    @property
    def _evidence(self) -> Evidence:
        if self.evidence is None:
            raise InputError(f"prompt set {self.name} needs evidence", expected="load_prompts")
        return self.evidence


def load_prompts(name_or_path: str | Path, evidence: Evidence | None = None) -> PromptSet:
    """Read a prompt set.

    Args:
        name_or_path: The name of a set of this project (`paper`, `direction`, `compact`) or the
            path of a YAML file with the same keys.
        evidence: Fills the slot `{evidence}` of a set that has it; without it the knowledge and
            the benchmark that `find_knowledge` and `find_data` find, default split.

    Returns:
        The set, checked: every key and slot is known, and each answer is read back as its label.

    Raises:
        InputError: If there is no such set or file, or the file is not a prompt set.
    """
    keys = [item.name for item in fields(PromptSet) if item.name not in ("name", "evidence")]
    path, texts = read_texts(name_or_path, keys)
    prompts = PromptSet(name=path.stem, **texts)
    for label, text in prompts.labels.items():
        if parse_answer(prompts.answer_text(label)).label is not label:
            raise InputError(
                "this label text is not read back as its label",
                file=path,
                column=f"labels.{label}",
                got=text,
                expected="one of the spellings the answer parser knows",
            )
    if prompts.needs_evidence:
        return replace(prompts, evidence=evidence or Evidence())
    return prompts


def _fill(text: str, values: dict[str, str]) -> str:
    return SLOT.sub(lambda slot: values[slot[1]], text)


def _chat(system: str, user: str) -> list[Message]:
    head: list[Message] = [{"role": "system", "content": system}] if system else []
    return [*head, {"role": "user", "content": user}]
