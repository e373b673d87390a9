"""Asks the student: one question with its text as it is written, or a list a few at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from queue import Empty, Queue
from threading import Event
from typing import TYPE_CHECKING, Any, Final, get_args

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)
from transformers.generation.streamers import BaseStreamer

from synthpert.answering import answer, read_completions, stop_text
from synthpert.generation import Completion
from synthpert.generation.decoding import Decoding, Mode
from synthpert.generation.endings import completion_of, tail
from synthpert.generation.hf import Chosen
from synthpert.generation.sampling import chooser, seed_of

if TYPE_CHECKING:
    import polars as pl
    from torch import Tensor

    from synthpert.encoding import Encoder
    from synthpert.questions import Label, Question
    from synthpert.student import Student

MODES: Final[tuple[Mode, ...]] = get_args(Mode)
AT_ONCE: Final = 8
"""Questions of a list that are written side by side: so long does a list go on after Stop."""
_BETWEEN: Final = 0.05  # seconds between two looks at what has been written


@dataclass(frozen=True, slots=True)
class Words:
    """What the student has written so far.

    Attributes:
        text: Of the sample that is being written, from its beginning.
        sample: Which one, from 1.
        samples: How many there will be.
    """

    text: str
    sample: int
    samples: int


class Asker:
    """Puts questions to a student, one call at a time.

    Args:
        student: With its weights in place.
        run: The run's name, written into the table.
    """

    def __init__(self, student: Student, run: str) -> None:
        self.student = student
        self.run = run

    def decoding(self, mode: Mode) -> Decoding:
        """How the recipe decodes, in another mode."""
        own = self.student.decoding
        if mode == own.mode:
            return own
        # What a vote samples with is no greedy thought, and the other way round.
        return replace(own, mode=mode, samples=1, temperature=0.0)

    def stream(
        self, question: Question, label: Label | None, mode: Mode, stop: Event
    ) -> Iterator[Words | pl.DataFrame]:
        """Ask one question.

        Args:
            question: The question.
            label: What is known of its outcome, copied into the table.
            mode: `direct` writes nothing, so its table comes at once.
            stop: Ends the writing within a token; no table comes then.

        Yields:
            What is written, several times a second, and at last the table of one prediction.
        """
        decoding = self.decoding(mode)
        if mode == "direct":
            yield from self.tables([question], [label], mode, stop)
            return
        samples = []
        for number in range(decoding.samples):
            ids: list[int] = []
            for ids in self._written(question, decoding, seed_of(decoding.seed, [number]), stop):
                text = self.student.encoder.decode(ids)
                yield Words(text, number + 1, decoding.samples)
            if stop.is_set():
                return
            samples.append([self._completion(ids)])
        engine, encoder = self.student.engine, self.student.encoder
        assert engine is not None
        table = read_completions(
            *(engine, encoder, [question], [label], samples, decoding),
            probabilities=True,
            model=self.student.name,
        )
        yield self._ours(table)

    def tables(
        self,
        questions: Sequence[Question],
        labels: Sequence[Label | None],
        mode: Mode,
        stop: Event,
    ) -> Iterator[pl.DataFrame]:
        """Ask many questions, a few at a time.

        Args:
            questions: N questions.
            labels: What is known of their outcomes, N.
            mode: As in `stream`.
            stop: Ends the work after those that are being answered.

        Yields:
            Tables of predictions, in the order of the questions.
        """
        decoding, engine = self.decoding(mode), self.student.engine
        assert engine is not None
        step = decoding.batch_size if mode == "direct" else min(AT_ONCE, decoding.batch_size)
        for start in range(0, len(questions), step):
            if stop.is_set():
                return
            part = slice(start, start + step)
            table = answer(
                *(engine, self.student.encoder, questions[part], labels[part], decoding),
                probabilities=True,
                model=self.student.name,
            )
            yield self._ours(table)

    def _ours(self, table: pl.DataFrame) -> pl.DataFrame:
        import polars as pl

        return table.with_columns(pl.lit(self.run).alias("run"))

    def _written(
        self, question: Question, decoding: Decoding, seed: int, stop: Event
    ) -> Iterator[list[int]]:
        """All ids written so far, as often as there are new ones, and when there are no more."""
        news: Queue[list[int]] = Queue()
        ids: list[int] = []
        with ThreadPoolExecutor(1) as pool:
            done: Future[None] = pool.submit(self._write, question, decoding, seed, stop, news)
            looked_on = False
            try:
                while not done.done() or not news.empty():
                    new = _waiting(news)
                    if new:
                        ids += new
                        yield ids
                looked_on = True
            finally:
                # Whoever looked on has gone: nobody needs the rest.
                if not looked_on:
                    stop.set()
        done.result()  # raises what was raised
        yield ids

    def _write(
        self,
        question: Question,
        decoding: Decoding,
        seed: int,
        stop: Event,
        news: Queue[list[int]],
    ) -> None:
        """Write one completion as the student's engine would, token by token into a queue."""
        encoder, network = self.student.encoder, self.student.causal_lm
        prompts = encoder.prompt_ids([question])
        ids = torch.tensor(prompts, device=network.device)
        config = GenerationConfig(
            max_new_tokens=decoding.max_new_tokens,
            do_sample=False,
            pad_token_id=encoder.pad_id,
            eos_token_id=encoder.tokenizer.eos_token_id,
            use_cache=True,
        )
        model: Any = network  # `generate` comes from a mixin that its class does not name
        model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            generation_config=config,
            logits_processor=LogitsProcessorList(
                [Chosen(chooser(decoding, prompts, seed), ids.shape[1])]
            ),
            stopping_criteria=StoppingCriteriaList([_Over(encoder, ids.shape[1], stop)]),
            streamer=_Ids(news),
        )

    def _completion(self, ids: list[int]) -> Completion:
        encoder = self.student.encoder
        eos = encoder.tokenizer.eos_token_id
        return completion_of(ids, eos, stop_text(encoder), encoder.raw_text)


class _Ids(BaseStreamer):
    """Hands on the ids that `generate` chooses."""

    def __init__(self, news: Queue[list[int]]) -> None:
        self.news = news
        self.asked = False

    def put(self, value: Tensor) -> None:
        """Take what `generate` has: the prompt first, then a token at a time."""
        if self.asked:
            self.news.put(value.flatten().tolist())
        self.asked = True

    def end(self) -> None:
        """The last one has come; the thread's own end says so."""
        return


class _Over(StoppingCriteria):
    """Ends the writing at the text that ends an answer, or where somebody stops it."""

    def __init__(self, encoder: Encoder, begin: int, stop: Event) -> None:
        self.encoder, self.begin, self.stop = encoder, begin, stop
        self.text = stop_text(encoder)

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: object) -> Tensor:
        over = self.stop.is_set()
        if self.text and not over:
            written = input_ids[0, self.begin :].tolist()
            over = self.text in self.encoder.raw_text(tail(written, self.text))
        return torch.tensor([over], device=input_ids.device)


def _waiting(news: Queue[list[int]]) -> list[int]:
    """All that has been written since the last look, after at least one token or a moment."""
    found: list[int] = []
    try:
        found += news.get(timeout=_BETWEEN)
        while True:
            found += news.get_nowait()
    except Empty:
        return found
