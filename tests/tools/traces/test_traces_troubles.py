"""What is asked again and what never is: the requests that reach a server, for both engines."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

import pytest
from chat_stub import Answer, Stub

from synthpert.errors import InputError, StoppedError
from synthpert.questions import Label, Question
from tools.traces.asking import Asker, open_lanes
from tools.traces.asking.money import Budget
from tools.traces.engines import open_engine
from tools.traces.engines.engine import FailedError, RefusedError
from tools.traces.engines.troubles import error_line, retry_after, sorted_status
from tools.traces.journal import Journal
from tools.traces.journal.records import Call, Reply
from tools.traces.settings import Model
from tools.traces.walk import read_reply

HELLO = [{"role": "user", "content": "hello"}]
QUOTA = {"message": "You exceeded it", "code": "insufficient_quota", "type": "t"}
CREDIT = {"message": "Your credit balance is too low", "type": "invalid_request_error"}
GATEWAY = '{"error": {"code": 502, "message": "upstream"}}'
JSON = "application/json"
ATTEMPTS = 3

both = pytest.mark.parametrize("engine", ["litellm", "openai"])


@dataclass
class Result:
    """What came of one call: the requests at the server, the journal's states, the reply."""

    requests: int
    states: Counter[str]
    reply: Reply | None
    stopped: BaseException | None
    spent: float


def made(engine: str, base: str, key_from: str = "", **more: object) -> Model:
    parameters = {"api_base": base, "max_tokens": 100, "timeout": 20.0} | more
    prices = {"input_price": 0.0, "output_price": 10_000.0}  # US$ 0.01 a token
    return Model("openai/stub", parameters, engine, key_from, **prices)  # type: ignore[arg-type]


def ask_patiently(engine: str, answer: Answer, folder: Path, **more: object) -> Result:
    with Stub(then=lambda _: answer) as stub, Journal(folder / "j.sqlite", write=True) as journal:
        model = made(engine, stub.base, **more)
        call = Call("teacher", Question("k562", "A", "B"), Label.UP, 0, model, HELLO, "p")

        async def ask() -> Asker:
            lanes = open_lanes([model], open_engine)
            asker = Asker(lanes, journal, Budget(None), read_reply, attempts=ATTEMPTS, backoff=0)
            await asker.ask(call)
            await lanes[model.identity].engine.close()
            return asker

        asker = asyncio.run(ask())
        states = Counter(str(row["state"]) for row in journal.rows())
        reply = journal.answer(call.key)
        return Result(len(stub.bodies), states, reply, asker.stopped, journal.spent())


def ask_once(engine: str, answer: Answer, **more: object) -> Reply:
    async def ask(base: str) -> Reply:
        asked = open_engine(made(engine, base, **more))
        try:
            return await asked.ask(HELLO)
        finally:
            await asked.close()

    with Stub(answer) as stub:
        return asyncio.run(ask(stub.base))


@both
@pytest.mark.parametrize(
    ("answer", "dollars"),
    [
        (Answer(status=429), 0),
        (Answer(status=500), 0),
        (Answer(status=503), 0),
        (Answer(status=502), 3),
        (Answer("gone", drop="before"), 3),
        (Answer("broken off", drop="middle"), 3),
        (Answer(page="<html>Please log in</html>"), 3),
        (Answer(page="<html>Please log in</html>", page_type=JSON), 3),
        (Answer(page=GATEWAY, page_type=JSON), 3),
    ],
    ids=["429", "500", "503", "502", "dropped", "half", "html", "html as json", "error in 200"],
)
def test_passing_troubles_are_asked_again_by_us_alone(
    engine: str, answer: Answer, dollars: float, tmp_path: Path
) -> None:
    result = ask_patiently(engine, answer, tmp_path)
    assert result.requests == ATTEMPTS
    assert result.states == {"failed": ATTEMPTS}
    assert result.spent == pytest.approx(dollars), "what may be billed stays booked at its bound"
    assert result.stopped is None


@both
def test_a_time_out_is_asked_again(engine: str, tmp_path: Path) -> None:
    result = ask_patiently(engine, Answer("late", delay=0.4), tmp_path, timeout=0.1)
    assert (result.requests, result.states) == (ATTEMPTS, {"failed": ATTEMPTS})
    assert result.spent == pytest.approx(3)


@both
@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_request_is_never_asked_again(engine: str, status: int, tmp_path: Path) -> None:
    result = ask_patiently(engine, Answer(status=status), tmp_path)
    assert (result.requests, result.states, result.spent) == (1, {"refused": 1}, 0)
    assert result.stopped is None


@both
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(status=401), "the key is missing or not accepted"),
        (Answer(status=403), "the key is missing or not accepted"),
        (Answer(status=402), "no quota is left"),
        (Answer(status=429, error=QUOTA), "no quota is left"),
        (Answer(status=400, error=CREDIT), "no quota is left"),
        (Answer(status=429, headers={"Retry-After": "7200"}), "come back in 7200 s"),
    ],
)
def test_key_and_quota_pause_the_run(
    engine: str, answer: Answer, words: str, tmp_path: Path
) -> None:
    result = ask_patiently(engine, answer, tmp_path)
    assert (result.requests, result.states) == (1, {"stopped": 1})
    assert isinstance(result.stopped, StoppedError)
    assert words in str(result.stopped)


@both
def test_an_unknown_model_ends_the_run(engine: str, tmp_path: Path) -> None:
    result = ask_patiently(engine, Answer(status=404), tmp_path)
    assert (result.requests, result.states) == (1, {"stopped": 1})
    assert isinstance(result.stopped, InputError)


@both
@pytest.mark.parametrize(
    ("answer", "text", "reason"),
    [
        (Answer(""), "", "stop"),
        (Answer("", finish_reason="length"), "", "length"),
        (Answer(None), "", "stop"),
        (Answer(choices=[]), "", "no choice"),
        (Answer(None, message={"refusal": "I will not."}), "I will not.", "refusal"),
        (Answer("cut", finish_reason="length"), "cut", "length"),
    ],
)
def test_what_is_paid_for_is_kept_and_never_asked_again(
    engine: str, answer: Answer, text: str, reason: str, tmp_path: Path
) -> None:
    result = ask_patiently(engine, answer, tmp_path)
    assert (result.requests, result.states) == (1, {"answered": 1})
    assert result.reply == Reply(text, reason, 11, 7, pytest.approx(0.07))


@both
def test_no_connection_is_a_failure_that_costs_nothing(engine: str) -> None:
    with Stub() as stub:
        base = stub.base
    with pytest.raises(FailedError, match="ConnectionRefused") as caught:
        asyncio.run(open_engine(made(engine, base)).ask(HELLO))
    assert not caught.value.may_be_billed


@both
@pytest.mark.parametrize(
    ("status", "overloaded", "billed"),
    [
        (408, False, True),
        (409, False, False),
        (429, True, False),
        (500, False, False),
        (503, True, False),
        (504, False, True),
        (529, True, False),
    ],
)
def test_a_failure_says_whether_to_slow_down_and_whether_it_may_cost(
    engine: str, status: int, overloaded: bool, billed: bool
) -> None:
    with pytest.raises(FailedError) as caught:
        ask_once(engine, Answer(status=status))
    assert (caught.value.overloaded, caught.value.may_be_billed) == (overloaded, billed)


@both
def test_retry_after_is_read(engine: str) -> None:
    with pytest.raises(FailedError) as caught:
        ask_once(engine, Answer(status=429, headers={"Retry-After": "7"}))
    assert caught.value.retry_after == 7


@both
@pytest.mark.parametrize("status", [401, 400, 500])
def test_a_key_that_is_echoed_is_in_no_error(
    engine: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEACHER_DOOR", "opensesame-12345")
    error = {"message": "wrong: opensesame-12345, sk-abcdefghijklmnop", "type": "t"}
    with Stub(Answer(status=status, error=error)) as stub:
        model = made(engine, stub.base, "TEACHER_DOOR")
        with pytest.raises((StoppedError, RefusedError, FailedError)) as caught:
            asyncio.run(open_engine(model).ask(HELLO))
        assert stub.keys == ["Bearer opensesame-12345"]
    assert "opensesame" not in str(caught.value)
    assert "sk-abc" not in str(caught.value)


def test_an_error_is_one_short_line() -> None:
    line = error_line(Model(), "first\nsecond\t" + "x" * 10_000)
    assert line.startswith("first second xxx")
    assert len(line) <= 500


def test_an_odd_status_is_refused() -> None:
    assert isinstance(sorted_status(Model(), 418, "a teapot"), RefusedError)


@pytest.mark.parametrize(
    ("text", "seconds"), [("2", 2), ("0.5", 0.5), ("", 0), ("soon", 0), ("-3", 0), ("9" * 400, 0)]
)
def test_retry_after_in_seconds(text: str, seconds: float) -> None:
    assert retry_after({"retry-after": text}) == seconds


def test_retry_after_as_a_date() -> None:
    later = formatdate(time.time() + 30, usegmt=True)
    assert 27 < retry_after({"retry-after": later}) <= 30
    assert retry_after({"retry-after": formatdate(0, usegmt=True)}) == 0
