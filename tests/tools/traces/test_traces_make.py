"""`traces make`, `status` and `export` as they are typed, against a server on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
import yaml
from chat_stub import Answer, Body, Stub, sensible

from synthpert.errors import InputError, StoppedError
from synthpert.traces import read_traces
from tools import traces
from tools.traces.journal import Journal
from tools.traces.make import make as make_traces
from tools.traces.settings import Model, Settings

KNOWLEDGE = Model("offline/knowledge")
ROOT = Path(__file__).resolve().parents[3]
WRONG = "<think>A needs B, so B falls in k562.</think><answer>I do not know</answer>"


def write_data(folder: Path, perts: int = 20, genes: int = 9) -> Path:
    """Write a benchmark of one cell line; a third of each label; the last perturbation is test."""
    rows = [(f"P{i:02d}", f"G{j:02d}", (i + j) % 3) for i in range(perts) for j in range(genes)]
    head = "pert,gene,label,split\n"
    split = dict.fromkeys(range(perts - 1), "train") | {perts - 1: "test"}
    de = [f"{p},{g},{int(k > 0)},{split[int(p[1:])]}\n" for p, g, k in rows]
    direction = [f"{p},{g},{k - 1},{split[int(p[1:])]}\n" for p, g, k in rows if k]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "k562-de.csv").write_text(head + "".join(de))
    (folder / "k562-dir.csv").write_text(head + "".join(direction))
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with a small benchmark in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    write_data(tmp_path / "data" / "perturbqa")
    return tmp_path


def model(stub: Stub, in_flight: int = 64, **parameters: object) -> dict[str, object]:
    return {
        "model": "openai/stub",
        "parameters": {"api_base": stub.base, "max_tokens": 100} | parameters,
        "in_flight": in_flight,
        "input_price": 1.0,
        "output_price": 2.0,
    }


def configure(stub: Stub, in_flight: int = 64, **settings: object) -> str:
    each = model(stub, in_flight)
    told = {"questions": 12, "teacher": each, "critics": [each]}
    told |= {"attempts": 3, "backoff": 0.001, "least_words": 5}
    Path("traces.yaml").write_text(yaml.safe_dump(told | settings))
    return "traces.yaml"


def make(stub: Stub, **settings: object) -> pl.DataFrame:
    traces.main(["make", "--config", configure(stub, **settings)])
    return read_traces("runs/traces/traces.parquet")


def is_critic(body: Body) -> bool:
    return "acting as a critic" in body["messages"][0]["content"]


def test_kept_traces_have_every_column_and_the_reply_word_for_word(here: Path) -> None:
    with Stub() as stub:
        kept = make(stub, grades="excellent,good,average")
    assert len(kept) == 12
    assert sum(kept.null_count().row(0)) == 0
    assert set(kept["teacher"]) == {"openai/stub"}
    assert kept["key"].n_unique() == 12
    assert all(text.startswith("<think>") for text in kept["response"])
    assert (kept["answer"] == kept["label"]).all()
    assert not kept["label_blind"].any()


def test_labels_are_balanced_and_no_test_question_is_asked(here: Path) -> None:
    with Stub() as stub:
        make(stub)
        asked = "".join(body["messages"][0]["content"] for body in stub.bodies)
    assert "P19" not in asked
    with Stub() as stub:
        kept = make(stub, grades="excellent,good,average")
    assert set(Counter(kept["label"]).values()) == {4}


def test_the_critic_is_asked_only_where_the_answer_is_right(here: Path) -> None:
    with Stub(Answer(WRONG), Answer(WRONG), Answer("")) as stub:
        make(stub)
        assert Counter(map(is_critic, stub.bodies)) == {False: 12, True: 9}


def test_the_critic_does_not_see_the_label(here: Path) -> None:
    with Stub() as stub:
        make(stub)
        seen = [body for body in stub.bodies if is_critic(body)]
    assert all(
        "<answer>" not in message["content"] for body in seen for message in body["messages"]
    )


def test_the_same_command_asks_nothing_twice(here: Path) -> None:
    with Stub() as stub:
        first = make(stub)
        count = len(stub.bodies)
        second = make(stub)
        assert len(stub.bodies) == count == 24
    assert first.equals(second)


def test_more_questions_keep_those_already_asked(here: Path) -> None:
    with Stub() as stub:
        make(stub)
        make(stub, questions=30)
        assert len(stub.bodies) == 60


def test_another_parameter_is_another_question_but_another_key_is_not(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Stub() as stub:
        make(stub)
        monkeypatch.setenv("OPENAI_API_KEY", "other")
        patient = model(stub, timeout=9)
        make(stub, teacher=patient, critics=[patient])
        assert len(stub.bodies) == 24
        hot = model(stub, temperature=1.0)
        make(stub, teacher=hot, critics=[hot])
        assert len(stub.bodies) == 48


def test_samples_ask_each_question_so_often(here: Path) -> None:
    with Stub() as stub:
        kept = make(stub, samples=2, grades="excellent,good,average")
        # The server thinks the same twice, and the critic is paid for a thought once.
        assert len(stub.bodies) == 36
    assert len(kept) == kept["key"].n_unique() == 24


@pytest.mark.parametrize(
    ("answer", "requests", "state"),
    [
        (Answer(status=429), 25, "failed"),
        (Answer(status=500), 25, "failed"),
        (Answer(status=400), 23, "refused"),
        (Answer("late", delay=4.0), 25, "failed"),
        (Answer("", finish_reason="length"), 23, "answered"),
    ],
)
def test_requests_for_each_trouble_with_the_first_reply(
    here: Path, answer: Answer, requests: int, state: str
) -> None:
    with Stub(answer) as stub:
        impatient = model(stub, in_flight=1, timeout=3)
        make(stub, teacher=impatient, critics=[impatient])
        assert len(stub.bodies) == requests
    assert journal_states()[0] == state


def journal_states() -> list[str]:
    with Journal(Path("runs/traces/journal.sqlite")) as journal:
        return [row["state"] for row in journal.rows()]


def journal_replies() -> dict[str, str]:
    with Journal(Path("runs/traces/journal.sqlite")) as journal:
        return {row["key"]: row["reply"] for row in journal.rows() if row["state"] == "answered"}


def test_a_wrong_key_stops_and_the_right_one_goes_on(here: Path) -> None:
    with Stub(*[Answer(status=401)] * 2) as stub:
        with pytest.raises(StoppedError, match="the key is missing or not accepted"):
            make(stub, in_flight=2)
        assert len(stub.bodies) == 2
        assert not Path("runs/traces/traces.parquet").exists()
        assert not make(stub).is_empty()
        assert len(stub.bodies) == 26


def test_a_used_up_quota_stops_and_replies_under_way_are_kept(here: Path) -> None:
    quota = Answer(status=429, error={"message": "quota", "code": "insufficient_quota"})
    slow = [Answer(WRONG, delay=0.2)] * 3
    with Stub(*slow, quota) as stub, pytest.raises(StoppedError, match="no quota is left"):
        make(stub, in_flight=4)
    assert Counter(journal_states()) == {"answered": 3, "stopped": 1}


def test_what_was_lost_is_asked_by_the_next_run(
    here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Stub(*[Answer(status=500)] * 3) as stub:
        with caplog.at_level("INFO"):
            make(stub, in_flight=1)
        assert "1 without a reply yet" in caplog.text
        assert "not_answered 1" in caplog.text
        count = len(stub.bodies)
        make(stub)
        assert len(stub.bodies) == count + 2


def test_rows_in_are_rows_kept_and_rejected(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Stub(Answer(WRONG), Answer("hm"), Answer(None, message={"refusal": "no"})) as stub:
        with caplog.at_level("INFO"):
            kept = make(stub, in_flight=1)
    last = caplog.messages[-1]
    assert f"runs/traces/traces.parquet: {len(kept)} kept of 12; {12 - len(kept)} rejected" in last
    assert "abstained 1" in last
    assert "no_answer 1" in last
    assert "refused 1" in last


def test_a_target_ends_the_asking(here: Path) -> None:
    with Stub() as stub:
        kept = make(stub, questions=100, target_kept=10, in_flight=2, grades="excellent,good")
        assert len(stub.bodies) < 60
    assert 10 <= len(kept) <= 12


def test_a_target_that_is_reached_asks_nothing_more_of_what_got_no_reply(here: Path) -> None:
    with Stub(Answer(status=400)) as stub:
        first = make(stub, questions=100, target_kept=10, in_flight=2)
        count = len(stub.bodies)
        assert make(stub, questions=100, target_kept=10, in_flight=2).equals(first)
        assert len(stub.bodies) == count


def test_a_second_run_is_refused_before_it_reads_anything(here: Path) -> None:
    with (
        Stub() as stub,
        Journal(Path("runs/traces/journal.sqlite"), write=True),
        pytest.raises(StoppedError, match="another run is writing"),
    ):
        make(stub, data="no-such-folder")


def test_a_budget_ends_the_asking_and_more_money_goes_on(here: Path) -> None:
    # The stub's 7 tokens out cost 0.014 dollars; the 100 that a call may take at most, 0.2.
    with Stub() as stub:
        dear = model(stub, in_flight=1) | {"output_price": 2000.0}
        for _ in range(2):
            with pytest.raises(StoppedError, match="budget"):
                make(stub, teacher=dear, critics=[dear], budget=0.35)
            assert len(stub.bodies) in (10, 11)
        make(stub, teacher=dear, critics=[dear], budget=2.0)
        assert len(stub.bodies) == 24


def test_critics_vote(here: Path) -> None:
    def judge(body: Body) -> Answer:
        if not is_critic(body):
            return sensible(body)
        grade = "terrible" if body["temperature"] == 0.5 else "excellent"
        return Answer(f"<reasoning>So.</reasoning><evaluation>{grade}</evaluation>")

    with Stub(then=judge) as stub:
        fair, harsh = model(stub, temperature=0.0), model(stub, temperature=0.5)
        assert len(make(stub, critics=[fair, fair, harsh])) == 12
        assert len(stub.bodies) == 48
        assert make(stub, critics=[fair, harsh]).is_empty()
        assert len(stub.bodies) == 48


def test_a_label_blind_teacher_is_not_told_and_its_right_answers_are_kept(here: Path) -> None:
    told = "<think>The loss of one gene may well raise another gene of the same kind, P00 P01"
    thought = told + " ".join(f" P{i:02d} G{j:02d}" for i in range(20) for j in range(9))
    up = Answer(f"{thought}</think><answer>upregulated</answer>")
    with Stub(then=lambda body: up) as stub:
        kept = make(stub, label_blind=True, critics=[])
        assert len(stub.bodies) == 12
        asked = "".join(message["content"] for body in stub.bodies for message in body["messages"])
    assert "is given to you" not in asked
    assert "I do not know" in asked
    assert set(kept["label"]) == {"upregulated"}
    assert kept["label_blind"].all()
    assert len(kept) == 4


def test_the_critic_starts_before_the_last_teacher_is_asked(here: Path) -> None:
    with Stub() as stub:
        make(stub, in_flight=2)
        roles = [is_critic(body) for body in stub.bodies]
    assert roles.index(True) < len(roles) - 1 - roles[::-1].index(False)


def test_export_applies_other_grades_and_asks_nobody(here: Path) -> None:
    with Stub() as stub:
        excellent = make(stub, questions=60)
        count = len(stub.bodies)
        config = configure(stub, questions=60)
        flags = ["--grades", "excellent,good,average", "--out", "all.jsonl"]
        traces.main(["export", "--config", config, *flags])
        assert len(stub.bodies) == count
    assert len(excellent) < len(read_traces("all.jsonl")) == 60
    assert set(read_traces("all.jsonl")["grade"]) == {"excellent", "good", "average"}


def test_no_secret_is_written(here: Path) -> None:
    with Stub() as stub:
        make(stub)
    files = [path for path in Path("runs").rglob("*") if path.is_file()]
    assert files
    assert all(b"sk-secret" not in path.read_bytes() for path in files)


def test_offline_makes_the_same_file_every_time(here: Path) -> None:
    flags = ["--questions", "60"]
    for name in ("a", "b"):
        place = ["--journal", f"{name}.sqlite", "--out", f"{name}.parquet"]
        traces.main(["make", *flags, *place])
    a, b = (read_traces(f"{name}.parquet") for name in "ab")
    assert a.equals(b)
    assert 0.6 < len(a) / 60 < 1


def test_offline_costs_nothing_and_says_so(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    traces.main(["make", "--questions", "6"])
    traces.main(["status"])
    told = capsys.readouterr().out
    assert "| teacher | offline/template | answered | 6 | – | – | 0.0000 | 0 |" in told


def test_the_teacher_of_facts_argues_blind_and_told(here: Path) -> None:
    config = str(ROOT / "configs" / "traces_label_blind.yaml")
    traces.main(["make", "--config", config, "--questions", "60"])
    blind = read_traces("runs/traces-label-blind/traces.parquet")
    told = make_traces(
        Settings(
            questions=60,
            data=ROOT / "synthpert" / "sample",
            teacher=KNOWLEDGE,
            critics=[KNOWLEDGE],
            grades="excellent,good",
        )
    )
    assert 0 < len(blind) < 60
    assert blind["critic"].null_count() == len(blind)
    assert 0 < len(read_traces(told)) <= 60


def test_other_facts_are_another_question(here: Path, tmp_path: Path) -> None:
    folder = tmp_path / "knowledge"
    folder.mkdir()
    settings = Settings(questions=6, teacher=KNOWLEDGE, critics=[], knowledge=folder)
    for genes in ("P00\tG00", "P00\tG00\tG01"):
        (folder / "sets.gmt").write_text(f"a set\tof mine\t{genes}\n")
        make_traces(settings)
    assert len(journal_states()) == 12


def test_make_is_a_function_too(here: Path) -> None:
    assert make_traces(Settings(questions=6)) == Path("runs/traces/traces.parquet")


def test_a_refusal_is_said_and_leaves_no_empty_file(
    here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        Stub(then=lambda body: Answer(status=400, error={"message": "top_k?"})) as stub,
        pytest.raises(StoppedError, match="no call got a reply"),
    ):
        make(stub)
    assert "teacher openai/stub gave no reply" in caplog.text
    assert "top_k?" in caplog.text
    assert not Path("runs/traces/traces.parquet").exists()


def test_status_before_any_run_is_an_error(here: Path) -> None:
    with pytest.raises(InputError, match=r"journal\.sqlite: no journal here yet"):
        traces.main(["status"])


def test_an_unknown_verb_is_an_error_with_a_hint() -> None:
    with pytest.raises(InputError, match="did you mean make"):
        traces.main(["mak"])


def test_help_shows_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert traces.main([]) == 0
    assert "synthpert traces export" in capsys.readouterr().out


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_waits_for_the_calls_under_way(here: Path, sent: int, code: int) -> None:
    with Stub(then=lambda body: Answer(WRONG, delay=0.5)) as stub:
        command = [sys.executable, "-m", "synthpert", "traces", "make"]
        command += ["--config", configure(stub, questions=60, in_flight=3)]
        child = subprocess.Popen(command, cwd=here, env=os.environ | {"PYTHONPATH": str(ROOT)})
        while len(stub.bodies) < 3:
            assert child.poll() is None
            time.sleep(0.002)
        child.send_signal(sent)
        assert child.wait(30) == code
        assert journal_states() == ["answered"] * len(stub.bodies)
    assert not Path("runs/traces/traces.parquet").exists()


def test_a_second_signal_waits_for_nothing(here: Path) -> None:
    with Stub(then=lambda body: Answer(WRONG, delay=60)) as stub:
        command = [sys.executable, "-m", "synthpert", "traces", "make"]
        command += ["--config", configure(stub)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        child = subprocess.Popen(
            command, cwd=here, env=environment, stderr=subprocess.PIPE, text=True
        )
        assert child.stderr is not None
        while len(stub.bodies) < 12:
            assert child.poll() is None
            time.sleep(0.002)
        child.send_signal(signal.SIGINT)
        while "once more drops them" not in child.stderr.readline():
            assert child.poll() is None
        child.send_signal(signal.SIGINT)
        assert child.wait(30) == 130
        child.stderr.close()


def kill_in_the_middle(command: list[str], stub: Stub, replies: int, where: Path) -> None:
    """Start a run and kill it hard once the server has sent so many replies."""
    child = subprocess.Popen(command, cwd=where, env=os.environ | {"PYTHONPATH": str(ROOT)})
    deadline = time.monotonic() + 60
    while len(stub.sent) < replies and time.monotonic() < deadline:
        assert child.poll() is None, "ended before it was killed"
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL


def test_a_killed_run_loses_no_reply_it_counted_and_asks_only_what_was_under_way(
    here: Path,
) -> None:
    in_flight = 4

    def steady(body: Body) -> Answer:
        answer = sensible(body)
        answer.delay = 0.02
        return answer

    with Stub(then=steady) as stub:
        config = configure(stub, questions=60, in_flight=in_flight)
        command = [sys.executable, "-m", "synthpert", "traces", "make", "--config", config]
        kept = {}
        for replies in (25, 65):
            kill_in_the_middle(command, stub, replies, here)
            kept |= journal_replies()
        traces.main(["make", "--config", config])
        sent = Counter(json.dumps(body["messages"]) for body in stub.bodies)
    assert len(sent) == 120
    # Whatever was asked a second time was under way at one of the two kills.
    assert sum(sent.values()) - 120 <= 2 * in_flight
    states = Counter(journal_states())
    assert states["answered"] == 120
    assert states["lost"] <= 2 * in_flight
    assert len(kept) > 50
    assert kept.items() <= journal_replies().items()
