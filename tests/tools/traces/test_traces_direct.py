"""A server asked with the openai client: what is sent, what is read, what is needed to begin."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from chat_stub import Answer, Stub

from synthpert.errors import InputError, StoppedError
from tools.traces.asking.money import Price
from tools.traces.engines import open_engine
from tools.traces.engines.completion import cost_of, read_completion, writable
from tools.traces.engines.direct import DirectEngine
from tools.traces.journal.records import Reply
from tools.traces.settings import Model

ROOT = Path(__file__).resolve().parents[3]
HELLO = [{"role": "user", "content": "hello"}]
FREE = {"input_price": 0.0, "output_price": 0.0}


def direct(name: str, parameters: dict[str, Any], **how: Any) -> Model:
    return Model(name, parameters, engine="openai", **FREE | how)


def ask(answer: Answer, name: str = "openai/stub", **parameters: Any) -> tuple[Reply, Any]:
    with Stub(answer) as stub:
        engine = DirectEngine(direct(name, {"api_base": stub.base} | parameters))

        async def once() -> Reply:
            try:
                return await engine.ask(HELLO)
            finally:
                await engine.close()

        reply = asyncio.run(once())
        return reply, stub.bodies[0]


@pytest.mark.parametrize(
    "text", ["<think>Because\n A < B.</think><answer>up</answer>", "  </think> x \u2028\n", "a"]
)
def test_a_reply_is_kept_word_for_word(text: str) -> None:
    assert ask(Answer(text))[0] == Reply(text, "stop", 11, 7, 0.0)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_what_vllm_parses_out_is_the_hidden_thought(field: str) -> None:
    reply, _ = ask(Answer("<answer>up</answer>", message={field: "why \ud800"}))
    assert (reply.text, reply.hidden_thought) == ("<answer>up</answer>", "why ?")


def test_any_parameter_of_the_server_is_sent() -> None:
    _, body = ask(Answer("a"), temperature=0.5, top_k=5, extra_body={"min_p": 0.1}, timeout=9)
    sent = {"model": "stub", "messages": HELLO, "temperature": 0.5, "top_k": 5, "min_p": 0.1}
    assert body == sent


@pytest.mark.parametrize(
    ("name", "served"),
    [
        ("openai/stub", "stub"),
        ("hosted_vllm/org/stub", "org/stub"),
        ("org/stub", "org/stub"),
        ("openai/openai/gpt-oss-20b", "openai/gpt-oss-20b"),
    ],
)
def test_litellms_prefix_is_no_part_of_the_served_name(name: str, served: str) -> None:
    assert ask(Answer("a"), name)[1]["model"] == served


def test_as_many_calls_are_under_way_as_wanted() -> None:
    with Stub(then=lambda _: Answer("a", delay=0.3)) as stub:
        engine = DirectEngine(direct("openai/stub", {"api_base": stub.base}, in_flight=40))

        async def all_at_once() -> None:
            waiting = [asyncio.create_task(engine.ask(HELLO)) for _ in range(40)]
            while len(stub.bodies) < 40:
                assert not any(each.done() for each in waiting)
                await asyncio.sleep(0.005)
            await asyncio.gather(*waiting)
            await engine.close()

        asyncio.run(all_at_once())


def test_an_address_is_needed_except_for_openais_own() -> None:
    with pytest.raises(InputError, match="where to send"):
        open_engine(direct("org/stub", {}))


def test_a_missing_key_stops_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(StoppedError, match="the key is missing"):
        open_engine(direct("openai/gpt-4o", {}))


def test_openais_own_model_that_was_shut_down_is_refused() -> None:
    with pytest.raises(InputError, match="shut down"):
        open_engine(direct("openai/o4-mini", {}))


def test_a_price_that_is_not_given_is_looked_up() -> None:
    model = Model("openai/gpt-4o", {"api_base": "http://127.0.0.1:9"}, engine="openai")
    assert open_engine(model).price.max_output == 16384
    with pytest.raises(InputError, match="price unknown"):
        open_engine(Model("openai/stub", {"api_base": "http://127.0.0.1:9"}, engine="openai"))


def test_litellm_is_not_imported_for_a_server_of_ones_own() -> None:
    program = (
        "import sys; from tools.traces.settings import Model;"
        "from tools.traces.engines import open_engine;"
        "assert 'openai' not in sys.modules;"
        "open_engine(Model('x', {'api_base': 'http://127.0.0.1:9'}, 'openai', input_price=0.0,"
        " output_price=0.0)); assert 'openai' in sys.modules and 'litellm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_a_completion_without_usage_costs_an_unknown_sum_unless_it_is_free() -> None:
    body = {"choices": [{"message": {"content": "a"}}]}
    assert read_completion(body, Price(1.0, 1.0)) == Reply("a", "no choice")
    assert cost_of(None, 5, Price(0.0, 0.0)) == 0.0
    assert cost_of(3, 5, Price(1.0, 2.0, 0.5, 1.0), batch=True) == 6.5


@pytest.mark.parametrize("told", [-11, 0, 10**30, "11", 7.5, True, {"a": 1}, float("nan")])
def test_usage_that_cannot_be_right_is_no_usage(told: object) -> None:
    usage = {"prompt_tokens": told, "completion_tokens": told}
    body = {"choices": [{"message": {"content": "a"}}], "usage": usage}
    assert read_completion(body, Price(1.0, 1.0)) == Reply("a", "no choice")


@pytest.mark.parametrize(
    "body",
    [{"choices": ["x"]}, {"choices": [{"message": None}]}, {"choices": [{"message": "a"}]}, {}],
)
def test_an_odd_completion_is_an_empty_reply(body: dict[str, Any]) -> None:
    assert read_completion(body | {"usage": []}, Price(1.0, 1.0)) == Reply("", "no choice")


def test_a_text_in_parts_is_put_together() -> None:
    assert writable([{"type": "text", "text": "a"}, "b", None]) == "ab"
