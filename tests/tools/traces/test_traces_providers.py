"""One call through LiteLLM over real HTTP: the reply word for word, its price, its key."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from chat_stub import Answer, Stub

from synthpert.errors import InputError, StoppedError
from tools.traces.asking.money import Price
from tools.traces.engines import offline, open_engine
from tools.traces.engines.completion import verbatim
from tools.traces.engines.engine import RefusedError
from tools.traces.engines.keys import key_of, server_of
from tools.traces.engines.providers import (
    LiteLLMEngine,
    connection,
    count_tokens,
    load,
    model_facts,
    price_of,
    provider_of,
)
from tools.traces.journal.records import Reply
from tools.traces.settings import Model

ROOT = Path(__file__).resolve().parents[3]
HELLO = [{"role": "user", "content": "hello"}]
TOLD = [
    {
        "role": "system",
        "content": "The regulatory effect of knocking down the A gene on the B gene in a"
        " single-cell k562 cell line is given to you upregulated.",
    }
]
FREE = {"input_price": 0.0, "output_price": 0.0}


def ask(answer: Answer, name: str = "openai/stub", **how: Any) -> Reply:
    prices = FREE if name == "openai/stub" else {}
    with Stub(answer) as stub:
        engine = LiteLLMEngine(Model(name, {"api_base": stub.base}, **prices | how))

        async def once() -> Reply:
            try:
                return await engine.ask(HELLO)
            finally:
                await engine.close()

        try:
            return asyncio.run(once())
        finally:
            assert len(stub.bodies) == 1, "one call is one request"


def run_child(program: str, **environment: str) -> str:
    told = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        cwd=ROOT,
        env={"PATH": "", **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    return told.stdout


def test_a_reply_comes_with_its_tokens_and_finish_reason() -> None:
    assert ask(Answer("hi")) == Reply("hi", "stop", 11, 7, 0.0)


@pytest.mark.parametrize(
    "text",
    [
        "<think>Because\n A < B.</think><answer>upregulated</answer>",
        " \n<think> a </think>\n\n<answer> downregulated </answer>\n",
        "<think></think><answer>upregulated</answer>",
        "thought without its tag</think><answer>upregulated</answer>",
        'no "tags" \u2028 at all',
        "  white space around  ",
    ],
)
def test_an_inline_thought_is_kept_word_for_word(text: str) -> None:
    reply = ask(Answer(text))
    assert (reply.text, reply.hidden_thought) == (text, "")


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_hidden_reasoning_is_kept_apart_from_the_rationale(field: str) -> None:
    reply = ask(Answer("<think>b</think>c", message={field: "what it thought in secret"}))
    assert reply.text == "<think>b</think>c"
    assert reply.hidden_thought == "what it thought in secret"


def test_an_inline_thought_of_another_form_of_reply_is_put_back() -> None:
    message = SimpleNamespace(content="<answer>x</answer>", reasoning_content="why")
    raw = r'{"message": {"content": "\u003cthink\u003ewhy..."}}'
    assert verbatim(message, raw) == ("<think>why</think><answer>x</answer>", "")
    hidden = '{"thinking": "why", "text": "..."}'
    assert verbatim(message, hidden) == ("<answer>x</answer>", "why")


def test_a_lone_surrogate_does_not_reach_the_files() -> None:
    assert ask(Answer("a\ud800b")).text == "a?b"


def test_parameters_are_sent() -> None:
    with Stub(Answer("hi")) as stub:
        parameters = {"api_base": stub.base, "temperature": 0.5, "max_tokens": 9}
        asyncio.run(LiteLLMEngine(Model("openai/stub", parameters, **FREE)).ask(HELLO))
        assert stub.bodies[0]["temperature"] == 0.5
        assert stub.bodies[0]["max_tokens"] == 9


def test_a_parameter_that_the_provider_lacks_is_the_callers_error() -> None:
    model = Model("anthropic/stub", {"api_base": "http://127.0.0.1:9", "seed": 1}, **FREE)
    with pytest.raises(InputError, match="a parameter the provider does not take"):
        asyncio.run(LiteLLMEngine(model).ask(HELLO))


def test_a_model_may_be_opened_again_after_it_was_closed() -> None:
    with Stub(Answer("a"), Answer("b")) as stub:
        model = Model("openai/stub", {"api_base": stub.base}, **FREE)

        async def once() -> str:
            engine = open_engine(model)
            reply = await engine.ask(HELLO)
            await engine.close()
            return reply.text

        assert [asyncio.run(once()), asyncio.run(once())] == ["a", "b"]


# --- keys ------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["litellm", "openai"])
def test_a_server_of_ones_own_is_not_sent_the_providers_key(
    engine: Literal["litellm", "openai"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-canary")
    with Stub(Answer("a"), Answer("b")) as stub:
        for named in ("", "OPENAI_API_KEY"):
            model = Model("openai/stub", {"api_base": stub.base}, engine, named, **FREE)
            asyncio.run(open_engine(model).ask(HELLO))
        assert stub.keys == ["Bearer none", "Bearer sk-canary-canary"]


def test_a_providers_own_server_is_sent_its_usual_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-usual-usual")
    with Stub(Answer("a")) as stub:
        monkeypatch.setenv("OPENAI_BASE_URL", stub.base)
        asyncio.run(LiteLLMEngine(Model("openai/stub", **FREE)).ask(HELLO))
        assert stub.keys == ["Bearer sk-usual-usual"]


def test_a_key_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(InputError, match=r"traces:key_from: no such variable .*'MY_KEY'"):
        open_engine(Model("openai/stub", key_from="MY_KEY", **FREE))


def test_a_missing_key_stops_and_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with Stub() as stub:
        monkeypatch.setenv("OPENAI_BASE_URL", stub.base)
        with pytest.raises(StoppedError, match="the key is missing"):
            asyncio.run(LiteLLMEngine(Model("openai/stub", **FREE)).ask(HELLO))
        assert stub.bodies == []


def test_a_connection_is_address_key_and_patience() -> None:
    model = Model("openai/stub", {"base_url": "http://h/v1", "max_tokens": 5, "timeout": 9})
    assert connection(model) == {"base_url": "http://h/v1", "api_key": "none", "timeout": 9}
    assert connection(Model("openai/stub")) == {"timeout": 600.0}
    assert (server_of(model), key_of(Model("openai/stub"))) == ("http://h/v1", None)


# --- what is known before a call -------------------------------------------------------------


def test_an_unknown_price_is_the_callers_error() -> None:
    with pytest.raises(InputError, match=r"price unknown .*0 for a server of your own") as caught:
        open_engine(Model("openai/stub"))
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="price unknown"):
        price_of(Model("openai/stub", input_price=1.0))


def test_a_known_price_is_counted() -> None:
    price = price_of(Model("openai/gpt-4o"))
    assert (price.input_batch, price.max_output) == (price.input / 2, 16384)
    assert ask(Answer("hi"), "openai/gpt-4o").cost == pytest.approx(price.cost(11, 7))


def test_one_given_price_is_what_a_reply_is_booked_at() -> None:
    price = price_of(Model("openai/gpt-4o", output_price=1000.0))
    reply = ask(Answer("hi"), "openai/gpt-4o", output_price=1000.0)
    assert reply.cost == pytest.approx(price.cost(11, 7))


def test_a_given_price_wins_over_the_map() -> None:
    given = {"input_price": 1.0, "output_price": 2.0}
    assert price_of(Model("openai/gpt-4o", **given)) == Price(1e-6, 2e-6, None, None, 16384)
    assert ask(Answer("hi"), "openai/gpt-4o", **given).cost == pytest.approx(11e-6 + 14e-6)


def test_a_reply_without_usage_has_no_known_cost() -> None:
    page = '{"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}'
    for price, cost in ((2.0, None), (0.0, 0.0)):
        answer = Answer(page=page, page_type="application/json")
        reply = ask(answer, input_price=price, output_price=price)
        assert (reply.text, reply.prompt_tokens, reply.cost) == ("hi", None, cost)


def test_a_model_that_has_been_shut_down_is_refused_with_its_successor() -> None:
    with pytest.raises(InputError, match=r"shut down on 2026-10-23 .*gpt-5\.6-terra") as caught:
        open_engine(Model("openai/o4-mini"))
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="shut down"):
        model_facts(Model("openai/o4-mini", **FREE))


def test_an_unknown_provider_is_the_callers_error() -> None:
    with pytest.raises(InputError, match="unknown provider") as caught:
        open_engine(Model("no-such-model"))
    assert "\n" not in str(caught.value)


def test_a_name_is_split_into_provider_and_model() -> None:
    assert provider_of(Model("openai/gpt-4o")) == ("gpt-4o", "openai")
    assert model_facts(Model("offline/template")).price == Price(0.0, 0.0)


def test_tokens_are_counted() -> None:
    counts = [count_tokens(Model(name), HELLO) for name in ("openai/gpt-4o", "anthropic/claude-x")]
    assert all(5 <= count <= 12 for count in counts)
    assert count_tokens(Model("openai/gpt-4o"), [{"role": "user", "content": "a " * 500}]) > 400


# --- offline ---------------------------------------------------------------------------------


def test_offline_costs_nothing() -> None:
    engine = open_engine(Model())
    reply = asyncio.run(engine.ask(TOLD))
    assert (reply.cost, engine.price) == (0.0, Price(0.0, 0.0))
    assert reply.text.endswith("<answer>upregulated</answer>")


def test_offline_refuses_what_it_cannot_read() -> None:
    with pytest.raises(RefusedError, match="the set paper alone"):
        asyncio.run(open_engine(Model()).ask(HELLO))


def test_an_unknown_offline_teacher_is_the_callers_error() -> None:
    with pytest.raises(InputError, match=r"expected offline/template or offline/knowledge"):
        open_engine(Model("offline/oracle"))


def test_offline_knowledge_answers_once_it_is_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline, "_teachers", dict(offline._teachers))
    monkeypatch.delitem(offline._teachers, "offline/knowledge", raising=False)
    with pytest.raises(InputError, match="its facts have not been read"):
        open_engine(Model("offline/knowledge"))
    offline.bind("offline/knowledge", lambda messages: f"fact about {messages[0]['content']}")
    reply = asyncio.run(open_engine(Model("offline/knowledge")).ask(HELLO))
    assert reply.text == "fact about hello"


def test_litellm_knows_the_offline_provider_too() -> None:
    response = asyncio.run(load().acompletion(model="offline/template", messages=TOLD))
    assert response.choices[0].message.content == asyncio.run(open_engine(Model()).ask(TOLD)).text


# --- in a process of its own -----------------------------------------------------------------

GUARD = """
import sys
def no_socket(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        raise SystemExit(f"{event} {args}")
sys.addaudithook(no_socket)
"""


def test_litellm_is_not_imported_for_offline_models() -> None:
    run_child(
        "import sys, tools.traces.make; assert 'litellm' not in sys.modules;"
        "from tools.traces.settings import Model; from tools.traces.engines import open_engine;"
        "open_engine(Model()); assert 'litellm' not in sys.modules"
    )


def test_opening_pricing_and_counting_use_no_socket_and_no_key_and_print_nothing() -> None:
    program = """
from tools.traces.engines import open_engine
from tools.traces.engines.providers import count_tokens, model_facts
from tools.traces.settings import Model
hello = [{"role": "user", "content": "hello"}]
own = {"api_base": "http://192.0.2.1/v1"}
for name in ("openai/gpt-4o", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-pro",
             "together_ai/meta-llama/Llama-3-70b-chat-hf", "openai/stub"):
    model = Model(name, own, input_price=1.0, output_price=1.0)
    open_engine(model), model_facts(model), count_tokens(model, hello)
open_engine(Model("openai/stub", own, "openai", input_price=1.0, output_price=1.0))
"""
    assert run_child(GUARD + program, HOME="/nonexistent") == ""


@pytest.mark.parametrize("engine", ["litellm", "openai"])
def test_nothing_is_printed_when_a_call_fails(engine: str) -> None:
    program = f"""
import asyncio
from tools.traces.engines import open_engine
from tools.traces.engines.engine import FailedError
from tools.traces.settings import Model
async def ask():
    prices = dict(input_price=0.0, output_price=0.0)
    model = Model("openai/stub", {{"api_base": "http://127.0.0.1:9/v1"}}, "{engine}", **prices)
    engine = open_engine(model)
    try:
        await engine.ask([{{"role": "user", "content": "hello"}}])
    except FailedError:
        await engine.close()
asyncio.run(ask())
"""
    assert run_child(program) == ""
