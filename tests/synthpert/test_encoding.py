"""The one renderer: what is supervised, and that it is what inference continues."""

from __future__ import annotations

import pytest
from tiny import REASONING, byte_tokenizer, chatml_tokenizer, r1_tokenizer

from synthpert.encoding import IGNORED, Encoder, Example
from synthpert.errors import InputError
from synthpert.prompts import load_prompts
from synthpert.questions import Label, Question

QUESTION = Question("k562", "AARS", "A2M")
FAMILIES = {"r1": r1_tokenizer, "chatml": chatml_tokenizer}


@pytest.fixture(params=FAMILIES)
def encoder(request: pytest.FixtureRequest) -> Encoder:
    return Encoder(FAMILIES[request.param](), load_prompts("paper"))


def encode(encoder: Encoder, reasoning: str | None = REASONING, label: Label = Label.UP) -> Example:
    (example,) = encoder.examples([QUESTION], [label], [reasoning])
    assert example is not None
    return example


def supervised_text(encoder: Encoder, example: Example) -> str:
    ids = [
        id_
        for id_, label in zip(example.input_ids, example.labels, strict=True)
        if label != IGNORED
    ]
    return encoder.tokenizer.decode(ids, skip_special_tokens=False)


def test_stock_template_deletes_the_thought() -> None:
    tokenizer = r1_tokenizer()
    turn = {"role": "assistant", "content": "<think>a</think><answer>x</answer>"}
    text = tokenizer.apply_chat_template([{"role": "user", "content": "q"}, turn], tokenize=False)
    assert text.endswith("<｜Assistant｜><answer>x</answer><｜end▁of▁sentence｜>")


def test_every_reasoning_token_is_supervised(encoder: Encoder) -> None:
    assert REASONING in supervised_text(encoder, encode(encoder))


def test_r1_completion_is_golden() -> None:
    encoder = Encoder(r1_tokenizer(), load_prompts("paper"))
    expected = f"{REASONING}\n</think>\n<answer>upregulated</answer><｜end▁of▁sentence｜>"
    assert supervised_text(encoder, encode(encoder)) == expected


def test_chatml_completion_is_golden() -> None:
    encoder = Encoder(chatml_tokenizer(), load_prompts("paper"))
    expected = f"<think>\n{REASONING}\n</think>\n<answer>upregulated</answer><|im_end|>"
    assert supervised_text(encoder, encode(encoder)) == expected


def test_r1_prompt_is_golden() -> None:
    encoder = Encoder(r1_tokenizer(), load_prompts("paper"))
    text = encoder.tokenizer.decode(encoder.prompt_ids([QUESTION])[0])
    assert text.startswith("<｜begin▁of▁sentence｜>You are a molecular and cellular biology expert")
    assert text.endswith("using CRISPR interference.<｜Assistant｜><think>\n")


def test_ids_are_golden() -> None:
    encoder = Encoder(r1_tokenizer(), load_prompts("compact"))
    bos, eos, user, assistant, think, end_think = (
        encoder.tokenizer.convert_tokens_to_ids(token)
        for token in (
            "<｜begin▁of▁sentence｜>",
            "<｜end▁of▁sentence｜>",
            "<｜User｜>",
            "<｜Assistant｜>",
            "<think>",
            "</think>",
        )
    )

    def raw(text: str) -> list[int]:
        return encoder.text_ids([text])[0]

    example = encode(encoder, "So.")
    prompt = [bos, user, *raw("k562 AARS A2M"), assistant, think, *raw("\n")]
    completion = [*raw("So.\n"), end_think, *raw("\nupregulated"), eos]
    assert example.input_ids == prompt + completion
    assert example.labels == [IGNORED] * len(prompt) + completion


def test_prompt_is_id_for_id_the_inference_prompt(encoder: Encoder) -> None:
    example = encode(encoder)
    start = next(i for i, label in enumerate(example.labels) if label != IGNORED)
    assert example.input_ids[:start] == encoder.prompt_ids([QUESTION])[0]


def test_r1_example_has_exactly_one_bos() -> None:
    encoder = Encoder(r1_tokenizer(), load_prompts("paper"))
    assert encode(encoder).input_ids.count(encoder.tokenizer.bos_token_id) == 1


def test_bos_is_added_where_the_template_forgets_it() -> None:
    tokenizer = byte_tokenizer(["<s>", "</s>"], "{{ messages[0]['content'] }}:", "<s>", "</s>")
    from tokenizers.processors import TemplateProcessing

    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.bos_token_id)]
    )
    ids = Encoder(tokenizer, load_prompts("compact")).prompt_ids([QUESTION])[0]
    assert ids[0] == tokenizer.bos_token_id
    assert ids.count(tokenizer.bos_token_id) == 1


def test_template_with_two_bos_is_refused() -> None:
    template = "{{ bos_token }}{{ bos_token }}{{ messages[0]['content'] }}"
    tokenizer = byte_tokenizer(["<s>", "</s>"], template, "<s>", "</s>")
    with pytest.raises(InputError, match="exactly one BOS"):
        Encoder(tokenizer, load_prompts("compact"))


def test_end_of_sequence_is_supervised_though_it_is_the_padding(encoder: Encoder) -> None:
    eos = encoder.tokenizer.eos_token_id
    assert encoder.tokenizer.pad_token_id == eos
    assert encode(encoder).labels[-1] == eos


def test_too_long_an_example_is_refused_not_cut() -> None:
    encoder = Encoder(r1_tokenizer(), load_prompts("compact"), max_tokens=100)
    short, long = encoder.examples([QUESTION] * 2, [Label.UP] * 2, ["So.", "So. " * 100])
    assert short is not None
    assert long is None


def test_example_of_just_max_tokens_is_kept() -> None:
    length = len(encode(Encoder(r1_tokenizer(), load_prompts("compact")), "So.").input_ids)
    tight = Encoder(r1_tokenizer(), load_prompts("compact"), max_tokens=length)
    assert encode(tight, "So.") is not None


def test_loss_on_all_supervises_everything() -> None:
    example = encode(Encoder(r1_tokenizer(), load_prompts("paper"), loss_on="all"))
    assert example.labels == example.input_ids


def test_loss_on_answer_supervises_answer_and_end() -> None:
    encoder = Encoder(r1_tokenizer(), load_prompts("paper"), loss_on="answer")
    text = supervised_text(encoder, encode(encoder))
    assert text == "<answer>upregulated</answer><｜end▁of▁sentence｜>"


def test_answer_start_is_where_the_answer_begins(encoder: Encoder) -> None:
    example = encode(encoder)
    tail = encoder.tokenizer.decode(example.input_ids[example.answer_start :])
    assert tail.startswith("<answer>")


def test_bare_answer_closes_the_thought_that_the_prompt_opened() -> None:
    encoder = Encoder(r1_tokenizer(), load_prompts("paper"))
    assert encoder.completion_text(Label.DOWN) == "</think>\n<answer>downregulated</answer>"


def test_bare_answer_has_no_thought_where_the_prompt_opens_none() -> None:
    encoder = Encoder(chatml_tokenizer(), load_prompts("compact"))
    assert encoder.completion_text(Label.NOT_DE) == "unchanged"


def test_as_shipped_template_loses_the_thought_and_supervises_all() -> None:
    encoder = Encoder(r1_tokenizer(), load_prompts("paper"), loss_on="all", template="as_shipped")
    text = supervised_text(encoder, encode(encoder))
    assert REASONING not in text
    assert text.endswith("<｜Assistant｜>\n<answer>upregulated</answer><｜end▁of▁sentence｜>")


def test_as_shipped_template_with_loss_on_completion_is_refused() -> None:
    with pytest.raises(InputError, match="expected all"):
        Encoder(r1_tokenizer(), load_prompts("paper"), template="as_shipped")


def test_decode_stops_at_the_end_and_keeps_the_tags(encoder: Encoder) -> None:
    ids = encoder.text_ids(["a</think>b"])[0]
    assert encoder.decode([*ids, encoder.tokenizer.eos_token_id, *ids]) == "a</think>b"


def test_tokenizer_that_loses_spaces_is_refused() -> None:
    from tokenizers import pre_tokenizers

    tokenizer = r1_tokenizer()
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    with pytest.raises(InputError, match="does not give back the text"):
        Encoder(tokenizer, load_prompts("paper"))


def test_tokenizer_without_a_template_is_refused() -> None:
    tokenizer = r1_tokenizer()
    tokenizer.chat_template = None
    with pytest.raises(InputError, match="no chat template"):
        Encoder(tokenizer, load_prompts("paper"))


def test_tokenizer_without_an_end_is_refused() -> None:
    tokenizer = r1_tokenizer()
    tokenizer.eos_token = None
    with pytest.raises(InputError, match="no end-of-sequence token"):
        Encoder(tokenizer, load_prompts("paper"))


def test_label_outside_the_prompt_set_is_refused() -> None:
    encoder = Encoder(r1_tokenizer(), load_prompts("direction"))
    with pytest.raises(InputError, match="no such label"):
        encode(encoder, label=Label.NOT_DE)


def test_padding_is_the_end_of_sequence_where_a_tokenizer_has_none() -> None:
    tokenizer = r1_tokenizer()
    tokenizer.pad_token = None
    assert Encoder(tokenizer, load_prompts("paper")).pad_id == tokenizer.eos_token_id


def test_no_text_has_no_ids(encoder: Encoder) -> None:
    assert encoder.prompt_ids([]) == []


ASKED = {"role": "user", "content": "What does insulin do?"}


def chatted(encoder: Encoder, told: str) -> Example:
    (example,) = encoder.chats([[ASKED]], [told])
    assert example is not None
    return example


def test_chat_is_supervised_on_its_last_message_alone(encoder: Encoder) -> None:
    example = chatted(encoder, "It lowers glucose.")
    text = supervised_text(encoder, example)
    closed = "</think>\n" if encoder.opens_thought else ""
    assert text == f"{closed}It lowers glucose.{encoder.tokenizer.eos_token}"
    assert example.answer_start == len(example.input_ids)


def test_chat_of_a_trace_is_the_trace(encoder: Encoder) -> None:
    whole = f"<think>\n{REASONING}\n</think>\n{encoder.prompts.answer_text(Label.UP)}"
    (example,) = encoder.chats([encoder.prompts.messages(QUESTION)], [whole])
    assert example is not None
    trace = encode(encoder)
    assert (example.input_ids, example.labels) == (trace.input_ids, trace.labels)


def test_chat_goes_through_the_template_as_shipped_where_traces_do() -> None:
    encoder = Encoder(r1_tokenizer(), load_prompts("paper"), loss_on="all", template="as_shipped")
    whole = f"<think>\n{REASONING}\n</think>\n<answer>upregulated</answer>"
    (example,) = encoder.chats([encoder.prompts.messages(QUESTION)], [whole])
    assert example == encode(encoder)


def test_chat_that_is_too_long_is_none(encoder: Encoder) -> None:
    encoder.max_tokens = 40
    assert encoder.chats([[ASKED]] * 2, ["a", "no " * 99])[1] is None
