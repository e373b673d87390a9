"""The two files of a batch: requests counted to the byte, replies read line by line."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthpert.questions import Label, Question
from tools.traces.asking.money import Price
from tools.traces.batches import parts
from tools.traces.batches.parts import Line, Part, read_lines, sent_parameters
from tools.traces.journal.records import Call, State
from tools.traces.settings import Model

MODEL = Model("openai/stub", {"api_base": "http://x/v1", "timeout": 9, "max_tokens": 5})
HALF = Price(2e-6, 8e-6, 1e-6, 4e-6)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=50)


def call(text: str, i: int = 0, label: Label | None = Label.UP) -> Call:
    question = Question("k562", f"P{i}", "G")
    return Call("critic", question, label, i, MODEL, [{"role": "user", "content": text}], "p", "k")


def part(most: int = 50_000) -> Part:
    return Part("critic", MODEL, "stub", "/v1/chat/completions", most)


def read(*lines: dict[str, Any] | str) -> list[Line]:
    raw = "".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in lines)
    return list(read_lines(io.BytesIO(raw.encode()), MODEL, HALF))


def told(body: Any, status: int = 200, key: str = "k") -> dict[str, Any]:  # noqa: ANN401
    return {"custom_id": key, "response": {"status_code": status, "body": body}, "error": None}


def completion(**message: object) -> dict[str, Any]:
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    return {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(TEXTS, st.sampled_from([Label.UP, None])), max_size=8))
def test_a_part_gives_its_calls_back_and_counts_its_bytes(
    asked: list[tuple[str, Label | None]],
) -> None:
    calls = [call(text, i, label) for i, (text, label) in enumerate(asked)]
    one = part()
    assert all(one.add(each, 0.25) for each in calls)
    assert list(one.calls()) == [(each, 0.25) for each in calls]
    assert [each.key for each, _ in one.calls()] == [each.key for each in calls]
    assert one.bytes == one.file.seek(0, io.SEEK_END)
    assert (one.keys, one.bound) == ({each.key for each in calls}, 0.25 * len(calls))
    one.close()


def test_a_part_is_full_at_its_number_of_requests() -> None:
    one = part(most=2)
    assert [one.add(call("", i), None) for i in range(3)] == [True, True, False]
    assert len(one.keys) == 2


def test_a_part_is_full_before_its_bytes_are_exceeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MOST_BYTES", 1000)
    one = part()
    while one.add(call("é" * 20, len(one.keys)), None):
        pass
    assert 500 < one.bytes <= 1000


def test_the_limits_are_those_of_the_provider() -> None:
    assert (parts.MOST_REQUESTS, parts.MOST_BYTES) == (50_000, 200_000_000)
    assert part(most=10**6)._most == 50_000


def test_what_only_a_client_is_told_is_not_sent() -> None:
    told = MODEL.parameters | {"temperature": 1.0, "extra_body": {"top_k": 2}}
    sent = {"max_tokens": 5, "temperature": 1.0, "top_k": 2}
    assert sent_parameters(Model("openai/stub", told)) == sent


def test_a_reasoning_model_is_told_its_longest_reply_under_the_name_that_it_takes() -> None:
    model = Model("openai/gpt-5.6-terra", {"max_tokens": 5})
    assert sent_parameters(model) == {"max_completion_tokens": 5}


def test_a_reply_is_word_for_word_and_at_the_price_of_batches() -> None:
    (line,) = read(told(completion(content="<think>so</think> **up** \n", reasoning_content="hm")))
    assert (line.key, line.state) == ("k", State.ANSWERED)
    assert line.reply is not None
    assert line.reply.text == "<think>so</think> **up** \n"
    assert line.reply.hidden_thought == "hm"
    assert line.reply.cost == pytest.approx(100 * 1e-6 + 10 * 4e-6)


def test_a_refusal_and_an_empty_reply_are_replies() -> None:
    lines = read(told(completion(content=None, refusal="I will not")), told({"choices": []}))
    assert [line.reply and (line.reply.text, line.reply.finish_reason) for line in lines] == [
        ("I will not", "refusal"),
        ("", "no choice"),
    ]


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (400, State.REFUSED),
        (422, State.REFUSED),
        (401, State.STOPPED),
        (402, State.STOPPED),
        (429, State.FAILED),
        (500, State.FAILED),
    ],
)
def test_what_an_error_line_says_of_its_call(status: int, state: State) -> None:
    (line,) = read(told({"error": {"code": "c", "message": "so it is"}}, status))
    assert (line.state, line.reply) == (state, None)
    assert line.error == f"{status} c: so it is"


def test_a_line_of_a_batch_that_ended_before_is_asked_again() -> None:
    error = {"code": "batch_expired", "message": "too late"}
    (line,) = read({"custom_id": "k", "response": None, "error": error})
    assert line == Line("k", State.FAILED, error="batch_expired: too late")


def test_a_body_that_no_model_wrote_may_be_billed() -> None:
    (line,) = read(told("<html>"))
    assert (line.state, line.may_be_billed) == (State.FAILED, True)


def test_a_key_in_an_error_is_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary-1234567890")
    (line,) = read(told({"error": {"message": "wrong key canary-1234567890"}}, 500))
    assert "canary" not in str(line.error)


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=30),
            st.recursive(
                st.none() | st.integers() | st.text(max_size=5),
                lambda inner: (
                    st.dictionaries(
                        st.sampled_from(
                            ["custom_id", "response", "status_code", "body", "error", "choices"]
                        ),
                        inner | st.just(200),
                        max_size=4,
                    )
                    | st.lists(inner, max_size=2)
                ),
                max_leaves=8,
            ).map(json.dumps),
        ),
        max_size=5,
    )
)
def test_no_line_whatever_is_in_it_ends_the_reading(lines: list[str]) -> None:
    for line in read(*(each.replace("\n", " ") for each in lines)):
        assert line.reply is not None or line.error
