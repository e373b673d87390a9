"""Named prompt sets (`configs/prompts/*.yaml`), rendered to chat messages.

A slot is a known name in braces, `{gene}`. Slots are filled in one pass over the set's text, never
over what was filled in, so braces or slot-like text in a gene name or a thought stay as they are.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict

import yaml

from synthpert.answers import parse_answer
from synthpert.errors import InputError
from synthpert.questions import Label, Question
from synthpert.tables import check_file

# Not importlib.resources: `configs` is no name of ours alone, and a regular package of that name
# in the user's working folder would hide this one.
_FOLDER = Path(__file__).resolve().parent.parent / "configs" / "prompts"
_SLOT = re.compile(r"\{([A-Za-z_]\w*)\}")
_QUESTION_SLOTS = frozenset({"cell_line", "pert", "gene"})
# For each text of a set: the slots it must have, and those it may have.
_SLOTS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "system": (frozenset(), _QUESTION_SLOTS),
    "user": (_QUESTION_SLOTS, _QUESTION_SLOTS),
    "answer": (frozenset({"label"}), frozenset({"label"})),
    "generator_system": (frozenset({"label"}), _QUESTION_SLOTS | {"label"}),
    "critic_system": (frozenset(), frozenset()),
    "critic_user": (frozenset({"thinking"}), frozenset({"user_query", "thinking"})),
}


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
        user: The question, with the slots `{cell_line}`, `{pert}` and `{gene}`.
        answer: How an answer is written, with the slot `{label}`.
        labels: The text of each label that may be answered.
        generator_system: The system message of a teacher who is told the `{label}`.
        critic_system: The critic's system message.
        critic_user: What the critic is asked, with the slots `{user_query}` and `{thinking}`.
    """

    name: str
    user: str
    source: str = ""
    system: str = ""
    answer: str = "<answer>{label}</answer>"
    labels: dict[Label, str] = field(default_factory=lambda: {each: str(each) for each in Label})
    generator_system: str | None = None
    critic_system: str | None = None
    critic_user: str | None = None

    @cached_property
    def prompt_id(self) -> str:
        """The name and 12 hex digits of the SHA-256 of all text a model sees or is to write."""
        texts = {key: getattr(self, key) for key in _SLOTS}
        texts |= {str(label): self.labels.get(label) for label in Label}
        canonical = "\x1f".join(f"{key}={text}" for key, text in texts.items() if text is not None)
        canonical = canonical.replace("\r\n", "\n").replace("\r", "\n")
        return f"{self.name}-{hashlib.sha256(canonical.encode()).hexdigest()[:12]}"

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
        values = _values(question)
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
        values = _values(question)
        return _chat(_fill(system, values | {"label": str(label)}), _fill(self.user, values))

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
        values = {"user_query": _fill(self.user, _values(question)), "thinking": thinking}
        return _chat(self._text("critic_system"), _fill(self._text("critic_user"), values))

    def _text(self, key: str) -> str:
        text: str | None = getattr(self, key)
        if text is None:
            raise InputError(f"prompt set {self.name} has no {key}", expected="a set such as paper")
        return text


def load_prompts(name_or_path: str | Path) -> PromptSet:
    """Read a prompt set.

    Args:
        name_or_path: The name of a set of this project (`paper`, `direction`, `compact`) or the
            path of a YAML file with the same keys.

    Returns:
        The set, checked: every key and slot is known, and each answer is read back as its label.

    Raises:
        InputError: If there is no such set or file, or the file is not a prompt set.
    """
    path = _find(name_or_path)
    texts = _read_mapping(path)
    known = [item.name for item in fields(PromptSet) if item.name != "name"]
    for key, value in texts.items():
        if key not in known:
            what = f"unknown key{_hint(str(key), known)}"
            raise InputError(what, file=path, got=key, expected=", ".join(known))
        if key == "labels":
            texts[key] = _labels(path, value)
        elif not isinstance(value, str):
            raise InputError("not a text", file=path, column=key, got=value, expected="a string")
    if "user" not in texts:
        raise InputError("missing key", file=path, column="user", expected="the question's text")
    for key in _SLOTS:
        if key in texts:
            _check_slots(path, key, texts[key])
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
    return prompts


def _find(name_or_path: str | Path) -> Path:
    sets = {path.stem: path for path in sorted(_FOLDER.glob("*.yaml"))}
    if isinstance(name_or_path, str) and name_or_path in sets:
        return sets[name_or_path]
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        raise InputError(
            f"unknown prompt set{_hint(str(name_or_path), list(sets))}",
            got=str(name_or_path),
            expected=", ".join(sets) + " or a YAML file",
        )
    check_file(path)
    return path


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        texts = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        row = error.problem_mark.line + 1 if error.problem_mark else None
        raise InputError(f"not YAML: {error.problem}", file=path, row=row) from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"not YAML: {error}", file=path) from None
    if not isinstance(texts, dict):
        raise InputError("not a prompt set", file=path, got=type(texts).__name__, expected="keys")
    return texts


def _labels(path: Path, value: object) -> dict[Label, str]:
    if not isinstance(value, dict) or not value:
        raise InputError(
            "not a table of labels", file=path, column="labels", got=value, expected="label: text"
        )
    official = [str(label) for label in Label]
    for key, text in value.items():
        if key not in official:
            raise InputError(
                "unknown label", file=path, column="labels", got=key, expected=", ".join(official)
            )
        if not isinstance(text, str) or not text.strip():
            raise InputError(
                "not a text", file=path, column=f"labels.{key}", got=text, expected="a string"
            )
    return {label: value[label.value] for label in Label if label.value in value}


def _check_slots(path: Path, key: str, text: str) -> None:
    needed, allowed = _SLOTS[key]
    found = _SLOT.findall(text)
    for slot in found:
        if slot not in allowed:
            raise InputError(
                f"unknown slot{_hint(slot, sorted(allowed))}",
                file=path,
                column=key,
                got=f"{{{slot}}}",
                expected=", ".join(f"{{{name}}}" for name in sorted(allowed)) or "no slots",
            )
    for slot in sorted(needed - set(found)):
        raise InputError("missing slot", file=path, column=key, expected=f"{{{slot}}} in the text")
    if key == "answer" and len(found) > 1:
        raise InputError("slot given twice", file=path, column=key, expected="one {label}")


def _hint(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _values(question: Question) -> dict[str, str]:
    return {"cell_line": question.cell_line, "pert": question.pert, "gene": question.gene}


def _fill(text: str, values: dict[str, str]) -> str:
    return _SLOT.sub(lambda slot: values[slot[1]], text)


def _chat(system: str, user: str) -> list[Message]:
    head: list[Message] = [{"role": "system", "content": system}] if system else []
    return [*head, {"role": "user", "content": user}]
