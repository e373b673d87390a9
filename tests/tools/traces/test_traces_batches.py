"""Batches: what goes to the provider, what comes back, and what a kill or a stop leaves behind."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from batch_stub import BatchStub, Plan, Trouble
from chat_stub import Answer, Body, Stub

from synthpert.errors import InputError, StoppedError
from synthpert.questions import Label, Question
from tools.traces.asking.money import Price
from tools.traces.batches import cancel, run_batches
from tools.traces.engines.providers import load
from tools.traces.journal import BatchState, Call, Journal, Reading, Reply
from tools.traces.settings import Model

Walk = Generator[Call, Reply | None, str | None]
THOUGHT = "<think>A needs B.</think><answer>upregulated</answer>"


def echo(body: Body) -> Answer:
    return Answer(f"{THOUGHT} {body['messages'][0]['content']}")


def model(stub: BatchStub | Stub, **parameters: object) -> Model:
    told = {"api_base": stub.base, "max_tokens": 100, "timeout": 9} | parameters
    return Model("openai/stub", told, input_price=2.0, output_price=8.0)


def call(of: Model, i: int, role: str = "teacher") -> Call:
    messages = [{"role": "user", "content": f"{role} {i}"}]
    return Call(role, Question("k562", f"P{i}", "G"), Label.UP, 0, of, messages, "p")


def walk(of: Model, i: int, *, graded: bool = False) -> Walk:
    told = yield call(of, i)
    if told is None:
        return None
    if graded and (yield call(of, i, "critic")) is None:
        return None
    return told.text


def read(call: Call, reply: Reply) -> Reading:
    return Reading(f"{call.role} read {len(reply.text)}")


class Run:
    """A journal in a folder, asked as `make` asks, as often as one likes."""

    def __init__(
        self, folder: Path, stub: BatchStub | Stub, count: int = 5, **parameters: object
    ) -> None:
        self.path = folder / "j.sqlite"
        self.model = model(stub, **parameters)
        self.done: list[str | None] = []
        self._count = count

    def go(self, *, graded: bool = False, **how: Any) -> list[str | None]:
        def walks() -> Iterator[Walk]:
            return (walk(self.model, i, graded=graded) for i in range(self._count))

        self.done = []
        with Journal(self.path, write=True) as journal:
            try:
                how = {"poll": 0.01} | how
                run_batches(journal, [self.model], walks, self._take, read, **how)
            finally:
                # LiteLLM makes a client for each call; one that is dropped later would try to
                # close itself in the loop of another test.
                gc.collect()
        return self.done

    def cancel(self) -> None:
        with Journal(self.path, write=True) as journal:
            cancel(journal, [self.model], poll=0.01)

    def _take(self, text: str | None) -> bool:
        self.done.append(text)
        return text is not None

    def rows(self) -> list[dict[str, Any]]:
        with Journal(self.path) as journal:
            return list(journal.rows())

    def states(self) -> Counter[str]:
        return Counter(row["state"] for row in self.rows())


def test_every_call_is_answered_word_for_word_through_one_batch(tmp_path: Path) -> None:
    with BatchStub(Plan(looks=2), then=echo) as stub:
        run = Run(tmp_path, stub)
        assert run.go() == [f"{THOUGHT} teacher {i}" for i in range(5)]
        assert (stub.log.count("POST", "/files"), stub.log.count("POST", "/batches")) == (1, 1)
    assert run.states() == {"answered": 5}


def test_stdout_stays_clean_and_the_live_line_tells_how_far_it_is(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with BatchStub(then=echo) as stub:
        Run(tmp_path, stub).go()
    out, err = capfd.readouterr()
    assert out == ""
    assert "5/5 kept 5, 0 batches open, US$ 0.00" in err


def test_the_same_command_again_asks_the_provider_nothing(tmp_path: Path) -> None:
    with BatchStub(then=echo) as stub:
        run = Run(tmp_path, stub)
        first = run.go()
        count = len(stub.log.requests)
        assert run.go() == first
        assert len(stub.log.requests) == count


def test_requests_hold_the_parameters_and_nothing_of_the_way_there(tmp_path: Path) -> None:
    with BatchStub(then=echo) as stub:
        run = Run(tmp_path, stub, 1, temperature=0.5, extra_body={"top_k": 3})
        run.go()
        (line,) = stub.asked()
    assert line["custom_id"] == call(run.model, 0).key
    messages = [{"role": "user", "content": "teacher 0"}]
    told = {"max_tokens": 100, "temperature": 0.5, "top_k": 3}
    assert line["body"] == {"model": "stub", "messages": messages} | told


def test_critics_follow_in_a_batch_of_their_own(tmp_path: Path) -> None:
    with BatchStub(then=echo) as stub:
        run = Run(tmp_path, stub, 3)
        assert all(run.go(graded=True))
        asked = [line["body"]["messages"][0]["content"].split()[0] for line in stub.asked()]
    assert asked == ["teacher"] * 3 + ["critic"] * 3
    assert Counter(row["role"] for row in run.rows()) == {"teacher": 3, "critic": 3}
    assert run.rows()[0]["parse"].startswith("teacher read")


def test_two_walks_with_the_same_call_ask_it_once(tmp_path: Path) -> None:
    with BatchStub(then=echo) as stub, Journal(tmp_path / "j.sqlite", write=True) as journal:
        of, done = model(stub), list[Any]()

        def walks() -> list[Walk]:
            return [walk(of, 0), walk(of, 0)]

        run_batches(journal, [of], walks, lambda text: not done.append(text), read, poll=0.01)
        assert len(stub.asked()) == 1
        assert len(done) == 2


def test_what_an_expired_batch_has_finished_is_taken_and_the_rest_asked_again(
    tmp_path: Path,
) -> None:
    with BatchStub(Plan("expired", done=2), then=echo) as stub:
        run = Run(tmp_path, stub)
        assert all(run.go())
        assert len(stub.asked()) == 5 + 3
    assert run.states() == {"answered": 5, "failed": 3}


def test_lines_in_any_order_second_ones_strange_ones_and_broken_ones(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def change(lines: list[dict[str, Any]]) -> list[Any]:
        again = lines[0] | {"response": {"status_code": 200, "body": {"choices": []}}}
        strange = lines[0] | {"custom_id": "nobody's"}
        return [*reversed(lines), again, strange, "{half a li", "", "[]"]

    caplog.set_level("INFO")
    with BatchStub(Plan(change=change), then=echo) as stub:
        run = Run(tmp_path, stub)
        assert run.go() == [f"{THOUGHT} teacher {i}" for i in range(5)]
    told = "1 second lines of a call, 1 lines of unknown calls, 2 unreadable lines"
    assert told in caplog.text


def test_a_line_that_failed_is_asked_again_but_not_for_ever(tmp_path: Path) -> None:
    def then(body: Body) -> Answer:
        is_first = body["messages"][0]["content"] == "teacher 0"
        return Answer(status=500) if is_first else echo(body)

    with BatchStub(then=then) as stub:
        run = Run(tmp_path, stub, 3)
        assert [text is None for text in run.go()].count(True) == 1
        assert len(stub.batches) == 2
    assert run.states() == {"answered": 2, "failed": 2}


def test_a_refused_line_is_left_to_the_next_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with BatchStub(then=lambda _: Answer(status=400, error={"message": "too long"})) as stub:
        run = Run(tmp_path, stub, 2)
        assert run.go() == [None, None]
        assert len(stub.batches) == 1
    assert run.states() == {"refused": 2}
    assert "2 calls came to nothing and are left to the next run; the last: 400 too long" in (
        caplog.text
    )


def test_a_line_without_quota_stops_the_run(tmp_path: Path) -> None:
    error = {"message": "You exceeded your current quota", "code": "insufficient_quota"}
    with BatchStub(then=lambda _: Answer(status=429, error=error)) as stub:
        run = Run(tmp_path, stub, 2)
        with pytest.raises(StoppedError, match="exceeded your current quota"):
            run.go()
    assert run.states() == {"stopped": 2}


def test_a_batch_that_is_found_wrong_is_tried_once_more_and_then_stops_the_run(
    tmp_path: Path,
) -> None:
    with BatchStub(Plan("failed"), then=echo) as stub:
        assert all(Run(tmp_path, stub).go())
    with BatchStub(*[Plan("failed", message="no such model")] * 2, then=echo) as stub:
        run = Run(tmp_path / "other", stub)
        with pytest.raises(StoppedError, match="the batch is failed: no such model"):
            run.go()
        assert len(stub.batches) == 2
    assert run.states() == {"lost": 10}


def test_a_queue_that_is_full_gets_smaller_batches(tmp_path: Path) -> None:
    full = Plan("failed", code="token_limit_exceeded", message="Enqueued token limit reached")
    with BatchStub(full, Plan(looks=3), full, full, then=echo) as stub:
        run = Run(tmp_path, stub, 8)
        assert all(run.go())
        sizes = [batch.facts.get("request_counts", {})["total"] for batch in stub.batches.values()]
    assert max(sizes[1:]) <= 4
    assert run.states()["answered"] == 8


def test_one_call_alone_that_is_too_much_stops_the_run(tmp_path: Path) -> None:
    full = Plan("failed", code="token_limit_exceeded", message="Enqueued token limit reached")
    with BatchStub(full, then=echo) as stub, pytest.raises(StoppedError, match="token limit"):
        Run(tmp_path, stub, 1).go()


def test_troubles_on_the_way_pass(tmp_path: Path) -> None:
    troubles = (
        Trouble("POST", "/files", 503),
        Trouble("POST", "/batches", 500),
        Trouble("GET", "/batches/", 500, times=8),
        Trouble("GET", "/batches/", 0),
        Trouble("GET", "/files/", 0),
    )
    with BatchStub(Plan(late_output=2), troubles=troubles, then=echo) as stub:
        assert all(Run(tmp_path, stub).go())
        assert len(stub.batches) == 1


def test_a_batch_whose_start_was_not_acknowledged_is_not_started_again(tmp_path: Path) -> None:
    with BatchStub(troubles=(Trouble("POST", "/batches", 0),), then=echo) as stub:
        assert all(Run(tmp_path, stub).go())
        assert len(stub.batches) == 1


def test_the_key_goes_along_and_a_wrong_one_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-wrong-123456")
    with BatchStub(then=echo, needs_key="sk-right-123456") as stub:
        run = Run(tmp_path, stub)
        run.model = replace(run.model, key_from="MY_KEY")
        with pytest.raises(StoppedError, match="the key is missing or not accepted"):
            run.go()
        monkeypatch.setenv("MY_KEY", "sk-right-123456")
        assert all(run.go())
    assert run.states() == {"answered": 5}


def test_the_budget_splits_the_calls_and_is_not_exceeded(tmp_path: Path) -> None:
    with BatchStub(then=echo) as stub:
        run = Run(tmp_path, stub, 10, max_tokens=8)
        bound = Price(2e-6, 8e-6).bound(call(run.model, 0).messages, run.model.parameters)
        budget = 2.1 * bound
        with pytest.raises(StoppedError, match="the budget of US"):
            run.go(budget=budget)
        assert len(stub.batches) > 1
        with Journal(run.path) as journal:
            assert bound < journal.spent() <= budget
        assert max(batch.facts["request_counts"]["total"] for batch in stub.batches.values()) == 2
        assert all(run.go(budget=1.0))


def test_scraps_of_a_budget_are_not_sent_one_by_one(tmp_path: Path) -> None:
    with BatchStub(then=echo) as stub:
        run = Run(tmp_path, stub, 40, max_tokens=8)
        bound = Price(2e-6, 8e-6).bound(call(run.model, 0).messages, run.model.parameters)
        with pytest.raises(StoppedError, match="the budget of US"):
            run.go(budget=2.1 * bound)
        assert len(stub.batches) == 1
        assert all(run.go(budget=1.0))


def test_a_budget_for_no_call_at_all_sends_nothing(tmp_path: Path) -> None:
    with BatchStub(then=echo) as stub, pytest.raises(StoppedError, match="may cost up to US"):
        Run(tmp_path, stub).go(budget=0.0001)
    assert stub.log.requests == []


def test_cancelling_takes_what_is_finished_and_gives_the_rest_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with BatchStub(Plan(looks=10**6, done=2), then=echo) as stub:
        run = Run(tmp_path, stub)
        killed_at("GET", "/batches/", run, stub)
        run.cancel()
        assert run.states() == {"answered": 2, "failed": 3}
        assert "batches cancelled: 1; 2 answered, 3 failed" in caplog.text
        assert all(run.go())
        run.cancel()
    assert "no batch is open" in caplog.text


def test_a_batch_of_another_account_stops_the_run_until_it_is_given_up(tmp_path: Path) -> None:
    with BatchStub(Plan(looks=10**6), then=echo) as stub:
        run = Run(tmp_path, stub)
        killed_at("GET", "/batches/", run, stub)
        stub.batches.clear()
        with pytest.raises(StoppedError, match="knows no batch batch_0"):
            run.go()
        run.cancel()
        assert run.states() == {"lost": 5}
        with Journal(run.path) as journal:
            assert [each.state for each in journal.batches()] == [BatchState.RELEASED]
            # It may be billed all the same.
            assert journal.spent() > 0


@pytest.mark.parametrize(
    ("method", "path", "batches"),
    [
        ("POST", "/files", 1),
        ("POST", "/batches", 1),
        ("GET", "/batches/", 1),
        ("GET", "/files/", 1),
    ],
)
def test_after_a_kill_the_same_command_sends_no_batch_twice(
    tmp_path: Path, method: str, path: str, batches: int
) -> None:
    trouble = Trouble(method, path, 200, delay=0.3)
    with BatchStub(Plan(looks=2), troubles=(trouble,), then=echo) as stub:
        run = Run(tmp_path, stub)
        killed_at(method, path, run, stub)
        assert all(run.go())
        assert len(stub.batches) == batches
    assert run.states()["answered"] == 5


def test_a_kill_between_upload_and_start_starts_the_uploaded_file(tmp_path: Path) -> None:
    with BatchStub(troubles=(Trouble("POST", "/batches", 500, delay=0.3),), then=echo) as stub:
        run = Run(tmp_path, stub)
        killed_at("POST", "/batches", run, stub)
        assert all(run.go())
        assert (stub.log.count("POST", "/files"), len(stub.batches)) == (1, 1)
    assert run.states() == {"answered": 5}


def test_a_signal_ends_the_run_and_leaves_the_batches(tmp_path: Path) -> None:
    with BatchStub(Plan(looks=4), then=echo) as stub:
        run = Run(tmp_path, stub)
        child = started(run)
        until(lambda: stub.log.count("GET", "/batches/batch_0") > 0)
        os.kill(child.pid or 0, signal.SIGTERM)
        child.join(30)
        assert child.exitcode == 128 + signal.SIGTERM
        assert run.states() == {"sent": 5}
        assert all(run.go())
        assert len(stub.batches) == 1


@pytest.mark.parametrize("name", ["offline/template", "anthropic/claude-x"])
def test_a_provider_without_batches_is_one_line(tmp_path: Path, name: str) -> None:
    of = Model(name, input_price=1.0, output_price=1.0)
    with (
        Journal(tmp_path / "j.sqlite", write=True) as journal,
        pytest.raises(InputError, match="no batch endpoint at"),
    ):
        run_batches(journal, [of], lambda: [walk(of, 0)], bool, read)


def test_a_server_without_batches_is_one_line_and_nothing_is_sent(tmp_path: Path) -> None:
    with Stub() as stub, pytest.raises(InputError, match="no batch endpoint at this server"):
        Run(tmp_path, stub).go()


def test_a_batch_of_a_model_that_is_not_asked_any_more_stays_open(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with BatchStub(Plan(looks=20), then=echo) as stub:
        run = Run(tmp_path, stub)
        killed_at("GET", "/batches/", run, stub)
        other = Run(tmp_path, stub, 2)
        other.model = replace(run.model, model="openai/other")
        assert all(other.go())
        assert "stays open: it asks openai/stub, which this command does not" in caplog.text
        assert run.states() == {"sent": 5, "answered": 2}


def started(run: Run) -> multiprocessing.Process:
    """Run in a process of its own; forked, since the import of litellm takes seconds."""
    child = multiprocessing.get_context("fork").Process(target=run.go, daemon=True)
    child.start()
    return child


def killed_at(method: str, path: str, run: Run, stub: BatchStub) -> None:
    """Kill a run as soon as the provider has seen a certain request."""
    load()
    child = started(run)
    until(lambda: any(m == method and p.startswith(path) for m, p in stub.log.requests))
    child.kill()
    child.join(30)
    # What the provider has begun it brings to an end.
    until(lambda: not stub.is_busy)


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.005)
