"""What `ask` is told: flags, or the same keys as YAML."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from synthpert.errors import InputError
from synthpert.probes import Probe
from tools.traces.settings import Model, check_model

FIRST_SAMPLE: Final = 1000
"""So many sample numbers belong to a seed, so that more samples keep the replies of fewer."""
_PROMPTS: Final = "paper"
_SPLIT: Final = "default"


@dataclass(frozen=True)
class Settings:
    """Put the benchmark's test questions to a language model, and write its answers as predictions.

    Any model of LiteLLM, or a server that speaks OpenAI's protocol. Every reply goes to a journal
    at once: after any interruption the same command goes on, and nothing is paid for twice. Needed:
    --model. Example: synthpert ask --model openai/gpt-5.6-terra --questions 500 --budget 5 --plan

    Args:
        model: LiteLLM's name of the model, such as `openai/gpt-5.6-terra`; `offline/knowledge`
            needs no key and no network, and is no language model.
        prompts: A prompt set: paper, direction, paper_context … or a YAML file; or `summer`,
            PerturbQA's SUMMER, which summarises genes and retrieves outcomes (`--samples 3`).
        split: `default`, `strict` or `held_out:CELL`; its test part is asked.
        questions: How many questions, or below 1 which share of them, by whole perturbations (the
            last one cut), drawn by `draw`; or a table of your own; null for all. A larger number
            keeps the smaller one's.
        samples: How often each question is asked; the probabilities are the shares of the votes.
        temperature: Of the sampling; null leaves the provider's own.
        max_tokens: The longest reply, hidden reasoning included; with a budget it bounds what is
            set aside for a call.
        budget: US dollars that all calls in this journal may cost; never exceeded.
        journal: Where every reply is kept.
        out: The predictions, .parquet or .csv; by default runs/ask/MODEL.parquet, its name longer
            by prompts, split, probe and seed where they are not the usual ones.
        plan: Only say what it would ask, cost and take; needs no key and no network.
        export: Ask nobody: write what the journal holds of questions whose samples are all there.
        probe: Ask with names exchanged: masked-gene, swapped-perturbation, swapped-cell-line.
        data: Folder of the benchmark; without it as `synthpert data` finds it.
        knowledge: Folder of gene sets and networks, for prompt sets with evidence.
        cell_lines: Names with commas between; all of them if empty.
        draw: Seed of the draw of questions and of a probe's names.
        seed: Another one asks the same questions anew, for the spread between runs.
        api_base: Address of a server of your own.
        engine: `litellm` for any provider; `openai` for a server that speaks OpenAI's protocol.
        key_from: The environment variable with the key, where it is not the provider's usual one.
        parameters: More to send with each call. Never a key.
        in_flight: How many calls may be under way at once.
        requests_per_minute: The provider's limit; calls wait for their turn.
        tokens_per_minute: The provider's limit on tokens in and out.
        input_price: US dollars per million tokens in, where LiteLLM does not know the price.
        output_price: The same for tokens out.
        batch: Ask through the provider's batch endpoint: half the price, an answer within a day.
        poll: Seconds between two looks at a batch.
        attempts: How often a call is made while the trouble looks passing (429, 5xx, time-out).
        backoff: Seconds; before the second attempt a random wait of up to this, then twice …
    """

    model: str = ""
    prompts: str = _PROMPTS
    split: str = _SPLIT
    questions: int | float | Path | None = None
    samples: int = 1
    temperature: float | None = None
    max_tokens: int | None = None
    budget: float | None = None
    journal: Path = Path("runs/ask/journal.sqlite")
    out: Path | None = None
    plan: bool = False
    export: bool = False
    probe: Probe | None = None
    data: Path | None = None
    knowledge: Path | None = None
    cell_lines: str = ""
    draw: int = 0
    seed: int = 0
    api_base: str | None = None
    engine: Literal["litellm", "openai"] = "litellm"
    key_from: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    in_flight: int = 64
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    input_price: float | None = None
    output_price: float | None = None
    batch: bool = False
    poll: float = 60.0
    attempts: int = 6
    backoff: float = 1.0

    def __post_init__(self) -> None:
        wrong = partial(InputError, file="ask")
        if not self.model:
            raise wrong("whom to ask is not said", column="model", expected="--model PROVIDER/NAME")
        for name, value in ((each.name, getattr(self, each.name)) for each in fields(self)):
            if isinstance(value, float) and not math.isfinite(value):
                raise wrong("not a number", column=name, got=value, expected="a number")
        least_of = {"samples": 1, "attempts": 1, "draw": 0, "seed": 0, "backoff": 0, "poll": 0}
        for name, least in least_of.items():
            if getattr(self, name) < least:
                got = getattr(self, name)
                raise wrong("too small", column=name, got=got, expected=f"{least} or more")
        if self.samples > FIRST_SAMPLE:
            raise wrong(
                "too many", column="samples", got=self.samples, expected=f"at most {FIRST_SAMPLE}"
            )
        if self.budget is not None and self.budget <= 0:
            raise wrong("too small", column="budget", got=self.budget, expected="more than 0")
        if self.samples > 1 and self.temperature == 0:
            what = "several samples at temperature 0 are all the same"
            raise wrong(what, column="samples", got=self.samples, expected="1, or a temperature")
        number = self.questions
        if isinstance(number, int | float) and not (0 < number < 1 or number == int(number) > 0):
            expected = "a count, a share below 1 or a table"
            raise wrong("wrong number", column="questions", got=number, expected=expected)
        if self.place.suffix not in (".parquet", ".csv"):
            expected = ".parquet or .csv"
            raise wrong(
                "predictions are written by suffix", column="out", got=self.place, expected=expected
            )
        if self.plan and self.export:
            raise wrong("one or the other", column="plan", got="plan and export", expected="one")
        check_model("model", self.asked, "ask")

    @property
    def asked(self) -> Model:
        """The model with all that is sent to it."""
        given = {
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "api_base": self.api_base,
        }
        told = {name: value for name, value in given.items() if value is not None}
        return Model(
            model=self.model,
            parameters={**self.parameters, **told},
            engine=self.engine,
            key_from=self.key_from,
            in_flight=self.in_flight,
            requests_per_minute=self.requests_per_minute,
            tokens_per_minute=self.tokens_per_minute,
            input_price=self.input_price,
            output_price=self.output_price,
        )

    @property
    def place(self) -> Path:
        """The file of the predictions."""
        if self.out is not None:
            return self.out
        # What is asked otherwise does not take the place of what is there.
        prompts = None if self.prompts == _PROMPTS else Path(self.prompts).stem
        split = None if self.split == _SPLIT else self.split
        parts = [self.model, prompts, split, self.probe, f"seed{self.seed}" if self.seed else None]
        name = "-".join(filter(None, parts))
        name = "".join(each if each.isalnum() or each in "-._" else "-" for each in name)
        return Path("runs/ask") / f"{name}.parquet"

    @property
    def numbers(self) -> range:
        """The numbers of the samples, which make equal calls different ones."""
        first = self.seed * FIRST_SAMPLE
        return range(first, first + self.samples)
