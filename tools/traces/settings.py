"""What the verbs of `traces` are told: flags, or the same keys as YAML."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from synthpert import commands
from synthpert.answers import Grade
from synthpert.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

# LiteLLM's own retries multiply with ours, and one call is one reply here.
_OURS = (
    *("model", "messages", "stream", "n", "best_of", "num_retries", "max_retries", "retry_policy"),
    *("fallbacks", "context_window_fallback_dict", "mock_response", "caching", "logger_fn"),
)
_SECRET = re.compile(r"key|secret|password|credential|header|(_|^)token$|^authorization$", re.I)
# They bound what a reply may cost.
_COUNTS = ("max_tokens", "max_completion_tokens")
# Forms of the kept traces beside the file itself.
ALSO = ("messages", "csv")
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


@dataclass(frozen=True)
class Model:
    """A model to ask.

    Args:
        model: LiteLLM's name of it, such as `openai/gpt-5.6-terra`; `offline/template` and
            `offline/knowledge` need no key and no network, and are no language models.
        parameters: Sent with each call: temperature, max_tokens, api_base, timeout … Never a key:
            keys are read from the environment.
        engine: `litellm` for any provider; `openai` for a server of your own that speaks OpenAI's
            protocol (vLLM): fewer CPU seconds a request.
        key_from: The environment variable with the key. Without it the provider's usual one is
            read, but a server named by `api_base` is sent no key: name its variable here.
        in_flight: How many calls may be under way at once; fewer while the provider is overloaded.
        requests_per_minute: The provider's limit; calls wait for their turn.
        tokens_per_minute: The provider's limit on tokens in and out.
        input_price: US dollars per million tokens in, where LiteLLM does not know the price; 0
            for a server of your own.
        output_price: The same for tokens out.
    """

    model: str = "offline/template"
    parameters: dict[str, Any] = field(default_factory=dict)
    engine: Literal["litellm", "openai"] = "litellm"
    key_from: str = ""
    in_flight: int = 64
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    input_price: float | None = None
    output_price: float | None = None

    @cached_property
    def identity(self) -> str:
        """All of it as text: two models of the same identity are the same model."""
        return json.dumps(asdict(self), sort_keys=True, default=str)

    @property
    def told(self) -> dict[str, Any]:
        """The parameters that decide a reply: no time limits."""
        return {name: v for name, v in self.parameters.items() if name != "timeout"}


@dataclass(frozen=True)
class Settings:
    """Which questions a teacher explains, who judges the explanations, and where all of it goes.

    Args:
        questions: How many train questions to ask, or below 1 which share of them; a larger
            number keeps the smaller one's.
        data: Folder of the benchmark; without it as `synthpert data` finds it.
        knowledge: Folder of gene sets and networks, for `offline/knowledge` and for prompt sets
            with evidence; without it SYNTHPERT_KNOWLEDGE, ./data/knowledge, the bundled sample.
        split: `default`, `strict` or `held_out:CELL`; only its train part is asked.
        cell_lines: Names with commas between; all of them if empty.
        balance: `uniform` draws by chance, `label` draws equal numbers of the three labels (as far
            as they go), `label_and_cell_line` of each label in each cell line.
        seed: Of the draw of questions.
        samples: How often the teacher is asked each question.
        prompts: A prompt set with a teacher's and a critic's texts: a name or a YAML file.
        label_blind: Ask the teacher to predict, without the outcome, and keep what is right (the
            paper's approach 1); else it is told the outcome and explains it (approach 2).
        teacher: Explains the outcome.
        critics: Grade the explanation, where the answer is right; the median grade counts, the
            lower one of two. None at all keeps every right answer that passes the gates.
        grades: Grades to keep, with commas between.
        least_words: A thought of fewer words is rejected.
        budget: US dollars that all calls in this journal may cost; never exceeded.
        target_kept: Stop asking when so many traces are kept.
        batch: Ask through the provider's batch endpoint: half the price, an answer within a day.
        poll: Seconds between two looks at a batch.
        attempts: How often a call is made while the trouble looks passing (429, 5xx, time-out).
        backoff: Seconds; before the second attempt a random wait of up to this, then twice …
        journal: Where every reply is kept.
        out: Where the kept traces are written, with a data card beside them.
        also: More forms to write beside `out`, with commas between: `messages` (JSONL for TRL,
            axolotl and LLaMA-Factory), `csv` (the columns of the paper's release).
        push: A data set of the Hugging Face hub, USER/NAME, to upload all of it to, made private
            if it is new; the token is read from HF_TOKEN.
        json: Print `status` as JSON.
    """

    questions: int | float = 2000
    data: Path | None = None
    knowledge: Path | None = None
    split: str = "default"
    cell_lines: str = ""
    balance: Literal["uniform", "label", "label_and_cell_line"] = "label"
    seed: int = 0
    samples: int = 1
    prompts: str = "paper"
    label_blind: bool = False
    teacher: Model = field(default_factory=Model)
    critics: list[Model] = field(default_factory=lambda: [Model()])
    grades: str = "excellent"
    least_words: int = 20
    budget: float | None = None
    target_kept: int | None = None
    batch: bool = False
    poll: float = 60.0
    attempts: int = 6
    backoff: float = 1.0
    journal: Path = Path("runs/traces/journal.sqlite")
    out: Path = Path("runs/traces/traces.parquet")
    also: str = ""
    push: str = ""
    json: bool = False

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            # YAML has words for infinity and for no number.
            if isinstance(value, float) and not math.isfinite(value):
                raise _wrong(name, "not a number", value, "a number")
        for name in ("samples", "attempts"):
            if getattr(self, name) < 1:
                raise _wrong(name, "too small", getattr(self, name), "1 or more")
        for name in ("least_words", "backoff", "poll", "seed"):
            if getattr(self, name) < 0:
                raise _wrong(name, "negative", getattr(self, name), "0 or more")
        for name in ("budget", "target_kept"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise _wrong(name, "too small", getattr(self, name), "more than 0")
        if not (0 < self.questions < 1 or self.questions == int(self.questions) > 0):
            raise _wrong("questions", "wrong number", self.questions, "a count, or a share below 1")
        if self.batch and self.target_kept is not None:
            # A batch has been paid for before it is known how many of it are kept.
            raise _wrong("target_kept", "not with batch", self.target_kept, "one or the other")
        if self.out.suffix not in (".parquet", ".jsonl"):
            # Said now, not after a run that has been paid for.
            raise _wrong("out", "traces are written by suffix", self.out, ".parquet or .jsonl")
        for name in self.also_written:
            if name not in ALSO:
                raise _wrong("also", "unknown form", name, ", ".join(ALSO))
        if self.push and not _HUB_NAME.fullmatch(self.push):
            raise _wrong("push", "not a name on the hub", self.push, "USER/NAME")
        check_model("teacher", self.teacher)
        for place, critic in enumerate(self.critics):
            check_model(f"critics.{place}", critic)
        if self.critics:
            self.kept_grades  # noqa: B018  (raises on an unknown grade before anything is asked)

    @property
    def kept_grades(self) -> tuple[Grade, ...]:
        """The grades to keep; none are asked for where there is no critic.

        Raises:
            InputError: If one is not a grade, or there is none.
        """
        if not self.critics:
            return ()
        known = [grade.value for grade in Grade]
        names = _names(self.grades)
        for name in names or [""]:
            if name not in known:
                raise _wrong("grades", "unknown grade", name, ", ".join(known))
        return tuple(Grade(name) for name in names)

    @property
    def also_written(self) -> list[str]:
        """The names of `ALSO` that are asked for."""
        return list(dict.fromkeys(_names(self.also)))

    @property
    def asked_cell_lines(self) -> list[str] | None:
        """The cell lines to ask about; None for all."""
        return _names(self.cell_lines) or None


def read_settings(verb: str, args: Sequence[str]) -> Settings:
    """Read a command line; `--config FILE` may give any flag as YAML.

    Args:
        verb: Such as `make`, for messages and the usage line.
        args: The command line after it.

    Returns:
        The settings, checked.

    Raises:
        InputError: If a flag or a key is unknown or its value wrong.
    """
    given = cast("Settings", commands.run(f"traces {verb}", Settings, args))
    # A flag that is a dataclass arrives as jsonargparse's namespace of its fields.
    teacher, *critics = [Model(**vars(each)) for each in (given.teacher, *given.critics)]
    return replace(given, teacher=teacher, critics=critics)


def check_model(role: str, model: Model, verb: str = "traces") -> None:
    """Refuse what a model may not be told.

    Args:
        role: Where it stands in the settings.
        model: What was given.
        verb: Whose settings they are.

    Raises:
        InputError: If a parameter is a secret or ours to set, or a limit or price makes no sense.
    """
    wrong = partial(_wrong, file=verb)
    extra = model.parameters.get("extra_body") or {}
    if not isinstance(extra, dict):
        raise wrong(f"{role}.parameters", "extra_body is no mapping", extra, "names and values")
    for name, value in [*model.parameters.items(), *extra.items()]:
        if name in _OURS:
            raise wrong(f"{role}.parameters", "set by this tool", name, "other parameters")
        if _SECRET.search(name):
            expected = "the key in the environment; its variable's name as key_from, if unusual"
            raise wrong(f"{role}.parameters", "keys are not written down", name, expected)
        if name in _COUNTS and value is not None and (type(value) is not int or value < 1):
            raise wrong(f"{role}.parameters.{name}", "wrong number", value, "1 or more")
        if name == "timeout" and (type(value) not in (int, float) or not 0 < value < math.inf):
            raise wrong(f"{role}.parameters.{name}", "wrong number", value, "seconds")
    for name in ("in_flight", "requests_per_minute", "tokens_per_minute"):
        if (value := getattr(model, name)) is not None and value < 1:
            raise wrong(f"{role}.{name}", "too small", value, "1 or more")
    for name in ("input_price", "output_price"):
        if (price := getattr(model, name)) is not None and not 0 <= price < math.inf:
            raise wrong(f"{role}.{name}", "not a price", price, "US$ per million tokens")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _wrong(key: str, what: str, got: object, expected: str, file: str = "traces") -> InputError:
    return InputError(what, file=file, column=key, got=str(got), expected=expected)
