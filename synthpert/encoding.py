"""Messages and a completion become `input_ids` and `labels`: the one renderer of the project.

Training, evaluation and preview all call it, so what the student is trained to continue is, id for
id, what it is asked to continue. Prompt and completion are encoded apart: the boundary is exact,
and the completion never passes through the chat template, which would delete the thought.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from synthpert.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from synthpert.prompts import Message, PromptSet
    from synthpert.questions import Label, Question

IGNORED = -100
"""The label of a position that is not trained on (PyTorch's `ignore_index`)."""

LossOn = Literal["completion", "all", "answer"]
Template = Literal["own", "as_shipped"]

# Spaces, newlines, tags, digits and a hyphen: what tokenizers were seen to lose (a Llama class over
# a byte-level tokenizer.json drops every space at encode in transformers 5.18 to 5.21).
_ROUND_TRIP = "Loss of HLA-A in k562:\n\n<think>two  spaces\n</think>\n<answer>upregulated</answer>"


@dataclass(frozen=True, slots=True)
class Example:
    """One question with its completion, ready to train on.

    Attributes:
        input_ids: Prompt, completion, end of sequence; T ids.
        labels: T ids, `IGNORED` where not trained on. Position t holds the id at t, not at t + 1:
            the student shifts, as every causal language model in transformers does.
        answer_start: Index of the first token that holds part of the answer.
    """

    input_ids: list[int]
    labels: list[int]
    answer_start: int


class Encoder:
    """Renders questions and completions for one tokenizer and one prompt set.

    Args:
        tokenizer: A fast tokenizer with a chat template and an end-of-sequence token.
        prompts: The prompt set.
        max_tokens: Examples longer than this are refused, never cut: their tail is the answer.
        loss_on: Which tokens are trained on: the completion, everything, or the answer alone.
        template: `own` encodes the completion apart from the chat template; `as_shipped` sends the
            assistant's message through it, as the reference implementation did, which deletes the
            thought where the template says so (kept to reproduce that run, `loss_on: all` only).

    Raises:
        InputError: If the tokenizer lacks a template or an end-of-sequence token, is not lossless,
            or does not begin its prompts with exactly one BOS where it has one.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        prompts: PromptSet,
        max_tokens: int = 2048,
        loss_on: LossOn = "completion",
        template: Template = "own",
    ) -> None:
        self.tokenizer = tokenizer
        self.prompts = prompts
        self.max_tokens = max_tokens
        self.loss_on = loss_on
        self.template = template
        if template == "as_shipped" and loss_on != "all":
            raise InputError(
                "the shipped template hides where the completion begins",
                column="loss_on",
                got=loss_on,
                expected="all, with template: as_shipped",
            )
        self._adds_bos = False
        _check_tokenizer(tokenizer)
        probe = self._render([{"role": "user", "content": "gene"}])
        self._adds_bos = self._needs_bos(probe)
        self.opens_thought = probe.rstrip().endswith("<think>")
        """Whether the prompt itself ends in `<think>`, so that a completion starts inside it."""
        self._check_one_bos(self._ids([probe])[0])

    @property
    def pad_id(self) -> int:
        """The id to pad with: of the padding token, or of the end of sequence."""
        pad, eos = self.tokenizer.pad_token_id, self.tokenizer.eos_token_id
        return int(eos if pad is None else pad)

    def prompt_ids(self, questions: Sequence[Question]) -> list[list[int]]:
        """The prompts of `questions`, as generation is given them.

        Returns:
            One list of ids a question, beginning with BOS where the model has one.
        """
        return self._ids([self._render(self.prompts.messages(question)) for question in questions])

    def completion_text(self, label: Label, reasoning: str | None = None) -> str:
        """What the student is to write after the prompt, without the end-of-sequence token.

        Args:
            label: The label of the answer.
            reasoning: The thought; None for the bare answer.
        """
        answer = self.prompts.answer_text(label)
        if reasoning is None:
            return f"</think>\n{answer}" if self.opens_thought else answer
        thought = f"{reasoning}\n</think>\n{answer}"
        return thought if self.opens_thought else f"<think>\n{thought}"

    def examples(
        self,
        questions: Sequence[Question],
        labels: Sequence[Label],
        reasonings: Sequence[str | None],
    ) -> list[Example | None]:
        """Encode questions with their completions.

        Args:
            questions: N questions.
            labels: The label each completion ends in, N.
            reasonings: The thought of each completion, None for the bare answer; N.

        Returns:
            N examples, None where one is longer than `max_tokens`.
        """
        if self.template == "as_shipped":
            made = [
                self._as_shipped(*row) for row in zip(questions, labels, reasonings, strict=True)
            ]
        else:
            texts = [self.completion_text(*row) for row in zip(labels, reasonings, strict=True)]
            answers = [self.prompts.answer_text(label) for label in labels]
            made = [
                self._join(prompt, *completion)
                for prompt, completion in zip(
                    self.prompt_ids(questions), self._completions(texts, answers), strict=True
                )
            ]
        return [x if len(x.input_ids) <= self.max_tokens else None for x in made]

    def chats(
        self, prompts: Sequence[Sequence[Message]], completions: Sequence[str]
    ) -> list[Example | None]:
        """Encode chats of another source; the last message alone is the completion.

        Where the prompt itself opens the thought, a completion that opens one too does so no more,
        and one that has none begins by closing it.

        Args:
            prompts: The messages before the last one, of N chats.
            completions: The assistant's last message, of N chats.

        Returns:
            N examples, None where one is longer than `max_tokens`. They have no answer that is
            known: `answer_start` is their length.
        """
        if self.template == "as_shipped":
            made = [
                self._through_template(*chat) for chat in zip(prompts, completions, strict=True)
            ]
        else:
            asked = self._ids([self._render(prompt) for prompt in prompts])
            written = self.text_ids([self._continued(text) for text in completions])
            made = [
                self._join(prompt, ids, len(ids) + 1)
                for prompt, ids in zip(asked, written, strict=True)
            ]
        return [x if len(x.input_ids) <= self.max_tokens else None for x in made]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of completion `ids`, up to the end-of-sequence token."""
        ids = list(ids)
        eos = self.tokenizer.eos_token_id
        if eos in ids:
            ids = ids[: ids.index(eos)]
        return self.raw_text(ids)

    def raw_text(self, ids: Sequence[int]) -> str:
        """The text of all `ids`, special tokens included."""
        # Tags may be registered as special tokens, and the parser needs to see them.
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=False))

    def text_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of bare texts: no template, no special tokens."""
        if not texts:
            return []  # which tokenizers refuse
        batch = self.tokenizer(list(texts), add_special_tokens=False)
        return [list(ids) for ids in batch.input_ids]

    def _join(self, prompt: list[int], completion: list[int], answer_start: int) -> Example:
        ids = [*prompt, *completion, self.tokenizer.eos_token_id]
        start = len(prompt) + answer_start
        first = {"completion": len(prompt), "all": 0, "answer": start}[self.loss_on]
        # By position, never by token value: the padding id may equal the end-of-sequence id, and a
        # model that is not trained on that token never learns to stop.
        return Example(ids, [IGNORED] * first + ids[first:], start)

    def _completions(self, texts: list[str], answers: list[str]) -> list[tuple[list[int], int]]:
        """Ids of each completion and the index of the first token that reaches into its answer."""
        batch = self.tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
        found = []
        for ids, offsets, text, answer in zip(
            batch.input_ids, batch.offset_mapping, texts, answers, strict=True
        ):
            begin = len(text) - len(answer)
            start = next((i for i, (_, end) in enumerate(offsets) if end > begin), len(ids))
            found.append((list(ids), start))
        return found

    def _as_shipped(self, question: Question, label: Label, reasoning: str | None) -> Example:
        thought = f"<think>\n{reasoning}\n</think>\n" if reasoning is not None else ""
        content = thought + self.prompts.answer_text(label)
        return self._through_template(self.prompts.messages(question), content)

    def _through_template(self, prompt: Sequence[Message], content: str) -> Example:
        turn: list[Message] = [{"role": "assistant", "content": content}]
        text = self.tokenizer.apply_chat_template(_plain([*prompt, *turn]), tokenize=False)
        ids = self._ids([str(text)])[0]
        return Example(ids, list(ids), len(ids))

    def _continued(self, text: str) -> str:
        if not self.opens_thought:
            return text
        thought = text.lstrip()
        if thought.startswith("<think>"):
            return thought.removeprefix("<think>").removeprefix("\n")
        return f"</think>\n{text}"

    def _render(self, messages: Sequence[Message]) -> str:
        return str(
            self.tokenizer.apply_chat_template(
                _plain(messages), tokenize=False, add_generation_prompt=True
            )
        )

    def _ids(self, rendered: list[str]) -> list[list[int]]:
        # The template writes BOS itself where it has one; a second would come with
        # add_special_tokens, and only a template that forgot it needs ours.
        bos = [self.tokenizer.bos_token_id] if self._adds_bos else []
        return [[*bos, *ids] for ids in self.text_ids(rendered)]

    def _needs_bos(self, rendered: str) -> bool:
        bos = self.tokenizer.bos_token_id
        if bos is None or bos in self.text_ids([rendered])[0]:
            return False
        return bos in self.tokenizer("gene").input_ids

    def _check_one_bos(self, ids: list[int]) -> None:
        bos = self.tokenizer.bos_token_id
        # Some families (GPT-2) use one id for both ends; their templates may close turns with it.
        if bos is None or bos == self.tokenizer.eos_token_id or bos not in ids:
            return
        if ids.count(bos) != 1 or ids[0] != bos:
            raise InputError(
                "the chat template does not begin a prompt with exactly one BOS",
                file=self.tokenizer.name_or_path,
                got=f"{ids.count(bos)} of {self.tokenizer.bos_token}",
                expected="1, in first place",
            )


def _plain(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": each["role"], "content": each["content"]} for each in messages]


def _check_tokenizer(tokenizer: PreTrainedTokenizerBase) -> None:
    place = tokenizer.name_or_path
    if not tokenizer.is_fast:
        raise InputError("the tokenizer is not a fast one", file=place, expected="tokenizer.json")
    if not tokenizer.chat_template:
        raise InputError("the tokenizer has no chat template", file=place)
    if tokenizer.eos_token_id is None:
        raise InputError("the tokenizer has no end-of-sequence token", file=place)
    ids = tokenizer(_ROUND_TRIP, add_special_tokens=False).input_ids
    back = tokenizer.decode(ids, skip_special_tokens=False)
    if back != _ROUND_TRIP:
        raise InputError(
            "the tokenizer does not give back the text it was given",
            file=place,
            got=back,
            expected=repr(_ROUND_TRIP),
        )
