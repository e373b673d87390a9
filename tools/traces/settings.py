"""What `traces make`, `status` and `export` are told: flags, or the same keys as YAML."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from synthpert import commands
from synthpert.answers import Grade
from synthpert.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

# LiteLLM's own retries multiply with ours, and one call is one reply here.
_OURS = ("model", "messages", "stream", "n", "num_retries", "max_retries", "fallbacks", "logger_fn")
_SECRET = re.compile(r"key|secret|password|credential|header|_token$|^timeout$")


@dataclass(frozen=True)
class Model:
    """A model to ask.

    Args:
        model: LiteLLM's name of it, such as `openai/gpt-5.6-terra`; `offline/template` needs no
            key and no network, and is no language model.
        parameters: Sent with each call: temperature, max_tokens, api_base, timeout …
    """

    model: str = "offline/template"
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def told(self) -> dict[str, Any]:
        """The parameters that decide a reply: no secrets, no time limits."""
        return {name: v for name, v in self.parameters.items() if not _SECRET.search(name)}


@dataclass(frozen=True)
class Settings:
    """Which questions a teacher explains, who judges the explanations, and where all of it goes.

    Args:
        questions: How many train questions to ask; a larger number keeps the smaller one's.
        data: Folder of the benchmark; without it as `synthpert data` finds it.
        split: `default`, `strict` or `held_out:CELL`; only its train part is asked.
        cell_lines: Names with commas between; all of them if empty.
        balance: `equal` numbers of the three labels (as far as they go), or the `natural` shares.
        seed: Of the draw of questions.
        samples: How often the teacher is asked each question.
        prompts: A prompt set with a generator's and a critic's texts: a name or a YAML file.
        teacher: Explains the outcome.
        critic: Grades the explanation; asked only where the answer is right.
        grades: Grades to keep, with commas between.
        in_flight: How many calls may be under way at once.
        attempts: How often a call is made while the trouble looks passing (429, 5xx, time-out).
        backoff: Seconds; before the second attempt a random wait of up to this, then twice …
        journal: Where every reply is kept.
        out: Where the kept traces are written.
    """

    questions: int = 2000
    data: Path | None = None
    split: str = "default"
    cell_lines: str = ""
    balance: Literal["equal", "natural"] = "equal"
    seed: int = 0
    samples: int = 1
    prompts: str = "paper"
    teacher: Model = field(default_factory=Model)
    critic: Model = field(default_factory=Model)
    grades: str = "excellent"
    in_flight: int = 64
    attempts: int = 6
    backoff: float = 1.0
    journal: Path = Path("runs/traces/journal.sqlite")
    out: Path = Path("runs/traces/traces.parquet")

    def __post_init__(self) -> None:
        for name in ("questions", "samples", "in_flight", "attempts"):
            if getattr(self, name) < 1:
                raise _wrong(name, "too small", getattr(self, name), "1 or more")
        if self.backoff < 0:
            raise _wrong("backoff", "negative", self.backoff, "seconds")
        if self.out.suffix not in (".parquet", ".jsonl"):
            # Said now, not after a run that has been paid for.
            raise _wrong("out", "traces are written by suffix", self.out, ".parquet or .jsonl")
        for role in ("teacher", "critic"):
            model: Model = getattr(self, role)
            for name in _OURS:
                if name in model.parameters:
                    raise _wrong(f"{role}.parameters", "set by this tool", name, "other parameters")
        self.kept_grades  # noqa: B018  (raises on an unknown grade before anything is asked)

    @property
    def kept_grades(self) -> tuple[Grade, ...]:
        """The grades to keep.

        Raises:
            InputError: If one is not a grade, or there is none.
        """
        known = [grade.value for grade in Grade]
        names = _names(self.grades)
        for name in names or [""]:
            if name not in known:
                raise _wrong("grades", "unknown grade", name, ", ".join(known))
        return tuple(Grade(name) for name in names)

    @property
    def asked_cell_lines(self) -> list[str] | None:
        """The cell lines to ask about; None for all."""
        return _names(self.cell_lines) or None


def read_settings(verb: str, args: Sequence[str]) -> Settings:
    """Read a command line; `--config FILE` may give any flag as YAML.

    Args:
        verb: `make`, `status` or `export`, for messages and the usage line.
        args: The command line after it.

    Returns:
        The settings, checked.

    Raises:
        InputError: If a flag or a key is unknown or its value wrong.
    """
    given = cast("Settings", commands.run(f"traces {verb}", Settings, args))
    # A flag that is a dataclass arrives as jsonargparse's namespace of its fields.
    teacher, critic = Model(**vars(given.teacher)), Model(**vars(given.critic))
    return replace(given, teacher=teacher, critic=critic)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _wrong(key: str, what: str, got: object, expected: str) -> InputError:
    return InputError(what, file="traces", column=key, got=str(got), expected=expected)
