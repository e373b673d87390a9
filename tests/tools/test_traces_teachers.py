"""One call over real HTTP: the reply word for word, the errors sorted, the price."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from chat_stub import Answer, Stub

from synthpert.errors import InputError, StoppedError
from tools.traces.journal import Reply
from tools.traces.settings import Model
from tools.traces.teachers import FailedError, RefusedError, Teacher, _verbatim, retry_after

HELLO = [{"role": "user", "content": "hello"}]


def ask(answer: Answer, name: str = "openai/stub", **parameters: Any) -> Reply:
    with Stub(answer) as stub:
        given = {"api_base": stub.base, "api_key": "secret"} | parameters
        try:
            return asyncio.run(Teacher(Model(name, given)).ask(HELLO))
        finally:
            assert len(stub.bodies) == 1, "one call is one request"


def test_a_reply_comes_with_its_tokens_and_finish_reason() -> None:
    assert ask(Answer("hi")) == Reply("hi", "stop", 11, 7, None)


@pytest.mark.parametrize(
    "text",
    [
        "<think>Because\n A < B.</think><answer>upregulated</answer>",
        " \n<think> a </think>\n\n<answer> downregulated </answer>\n",
        "<think></think><answer>upregulated</answer>",
        "thought without its tag</think><answer>upregulated</answer>",
        'no "tags" \u2028 at all',
    ],
)
def test_an_inline_thought_is_kept_word_for_word(text: str) -> None:
    assert ask(Answer(text)).text == text


def test_hidden_reasoning_is_not_taken_for_the_rationale() -> None:
    hidden = {"reasoning_content": "what the model thought in secret"}
    assert ask(Answer("<answer>upregulated</answer>", message=hidden)).text == (
        "<answer>upregulated</answer>"
    )


def test_an_inline_thought_of_another_form_of_reply_is_put_back() -> None:
    message = SimpleNamespace(content="<answer>x</answer>", reasoning_content="why")
    raw = r'{"message": {"content": "\u003cthink\u003ewhy..."}}'
    assert _verbatim(message, raw) == "<think>why</think><answer>x</answer>"
    assert _verbatim(message, '{"thinking": "why", "text": "..."}') == "<answer>x</answer>"


def test_an_empty_reply_is_a_reply() -> None:
    assert ask(Answer("", finish_reason="length")).text == ""
    assert ask(Answer("", finish_reason="length")).finish_reason == "length"


def test_a_refusal_is_told_apart() -> None:
    reply = ask(Answer(None, message={"refusal": "I will not."}))
    assert (reply.text, reply.finish_reason) == ("I will not.", "refusal")


def test_a_lone_surrogate_does_not_reach_the_files() -> None:
    assert ask(Answer("a\ud800b")).text == "a?b"


def test_parameters_are_sent() -> None:
    with Stub(Answer("hi")) as stub:
        parameters = {"api_base": stub.base, "api_key": "k", "temperature": 0.5, "max_tokens": 9}
        asyncio.run(Teacher(Model("openai/stub", parameters)).ask(HELLO))
        assert stub.bodies[0]["temperature"] == 0.5
        assert stub.bodies[0]["max_tokens"] == 9


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
def test_passing_troubles_are_failures(status: int) -> None:
    with pytest.raises(FailedError):
        ask(Answer(status=status))


@pytest.mark.parametrize("status", [400, 413, 422])
def test_requests_that_are_not_taken_are_refused(status: int) -> None:
    with pytest.raises(RefusedError):
        ask(Answer(status=status))


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_stops(status: int) -> None:
    with pytest.raises(StoppedError, match="openai/stub: the key is missing or not accepted"):
        ask(Answer(status=status))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, {"message": "You exceeded your quota", "code": "insufficient_quota", "type": "t"}),
        (400, {"message": "Your credit balance is too low", "type": "invalid_request_error"}),
        (402, {"message": "Payment required", "type": "t"}),
    ],
)
def test_a_used_up_quota_stops(status: int, error: dict[str, str]) -> None:
    with pytest.raises(StoppedError, match="no quota is left"):
        ask(Answer(status=status, error=error))


def test_a_missing_key_stops_and_sends_nothing() -> None:
    with Stub() as stub:
        teacher = Teacher(Model("openai/stub", {"api_base": stub.base}))
        with pytest.raises(StoppedError, match="the key is missing"):
            asyncio.run(teacher.ask(HELLO))
        assert stub.bodies == []


def test_an_unknown_model_is_the_callers_error() -> None:
    with pytest.raises(InputError, match="no such model"):
        ask(Answer(status=404))


def test_a_time_out_is_a_failure() -> None:
    with pytest.raises(FailedError):
        ask(Answer("late", delay=0.5), timeout=0.1)


def test_no_connection_is_a_failure() -> None:
    with Stub() as stub:
        base = stub.base
    with pytest.raises(FailedError):
        asyncio.run(Teacher(Model("openai/stub", {"api_base": base, "api_key": "k"})).ask(HELLO))


def test_retry_after_is_read() -> None:
    with pytest.raises(FailedError) as caught:
        ask(Answer(status=429, headers={"Retry-After": "7"}))
    assert caught.value.retry_after == 7


def test_being_sent_away_for_hours_stops() -> None:
    with pytest.raises(StoppedError, match="come back in 7200 s"):
        ask(Answer(status=429, headers={"Retry-After": "7200"}))


@pytest.mark.parametrize(
    ("text", "seconds"), [("2", 2), ("0.5", 0.5), ("", 0), ("soon", 0), ("-3", 0), ("9" * 400, 0)]
)
def test_retry_after_in_seconds(text: str, seconds: float) -> None:
    assert retry_after({"retry-after": text}) == seconds


def test_retry_after_as_a_date() -> None:
    later = formatdate(time.time() + 30, usegmt=True)
    assert 27 < retry_after({"retry-after": later}) <= 30
    assert retry_after({"retry-after": formatdate(0, usegmt=True)}) == 0


def test_an_unknown_price_is_none_and_a_known_one_is_counted() -> None:
    assert ask(Answer("hi")).cost is None
    cost = ask(Answer("hi"), "openai/gpt-4o").cost
    assert cost is not None
    assert cost > 0


def test_offline_costs_nothing() -> None:
    teacher = Teacher(Model())
    assert teacher.has_price
    system = (
        "The regulatory effect of knocking down the A gene on the B gene in a single-cell k562"
        " cell line is given to you upregulated."
    )
    reply = asyncio.run(teacher.ask([{"role": "system", "content": system}]))
    assert reply.cost == 0.0
    assert reply.text.endswith("<answer>upregulated</answer>")


def test_offline_refuses_what_it_cannot_read() -> None:
    with pytest.raises(RefusedError, match="the set paper alone"):
        asyncio.run(Teacher(Model()).ask(HELLO))


def test_a_model_that_has_been_shut_down_is_refused_with_its_successor() -> None:
    with pytest.raises(InputError, match=r"shut down on 2026-10-23 .*gpt-5\.6-terra") as caught:
        Teacher(Model("openai/o4-mini"))
    assert "\n" not in str(caught.value)


def test_an_unknown_provider_is_the_callers_error() -> None:
    with pytest.raises(InputError, match="unknown provider") as caught:
        Teacher(Model("no-such-model"))
    assert "\n" not in str(caught.value)


def test_litellm_is_imported_only_with_the_first_model() -> None:
    program = (
        "import sys, tools.traces.make; assert 'litellm' not in sys.modules;"
        "from tools.traces.settings import Model; from tools.traces.teachers import Teacher;"
        "Teacher(Model()); assert 'litellm' in sys.modules"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root)
