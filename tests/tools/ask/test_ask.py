"""`ask` as it is typed, against a server on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from batch_stub import BatchStub
from chat_stub import Answer, Body, Stub
from tiny import write_benchmark

from synthpert.errors import InputError, StoppedError
from synthpert.predictions import PREDICTION_SCHEMA, read_predictions
from synthpert.predictions.records import read_record
from synthpert.questions import LABELS, read_questions, split_questions
from tools.ask import ask, main
from tools.ask.settings import Settings
from tools.traces.journal import Journal
from tools.traces.offline.reading import read_prompt

ROOT = Path(__file__).resolve().parents[3]
NOT_DE, UP, DOWN = (label.value for label in LABELS)
OUT = Path("out.parquet")
KEY = ["cell_line", "pert", "gene"]


def saying(label: str) -> Answer:
    return Answer(f"<think>It depends on it.</think><answer>{label}</answer>")


def always_up(body: Body) -> Answer:
    return saying(UP)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with a small benchmark in it: 28 test questions, two cell lines."""
    monkeypatch.chdir(tmp_path)
    write_benchmark(tmp_path / "data" / "perturbqa")
    return tmp_path


def flags(stub: Stub, *more: str) -> list[str]:
    return [
        *("--model", "openai/stub", "--engine", "openai", "--api_base", stub.base),
        *("--max-tokens", "100", "--input_price", "1", "--output_price", "2"),
        *("--attempts", "2", "--backoff", "0.001", "--out", str(OUT), *more),
    ]


def told(body: Body) -> str:
    return "\n".join(message["content"] for message in body["messages"])


def test_every_test_question_gets_a_prediction_in_the_order_of_the_benchmark() -> None:
    with Stub(then=always_up) as stub:
        assert main(flags(stub)) == 0
        assert len(stub.bodies) == 28
    table = read_predictions(OUT)
    test = split_questions(read_questions("data/perturbqa"))[1]
    assert table.columns == list(PREDICTION_SCHEMA)
    assert table.select(*KEY, "label").equals(test.select(*KEY, "label"))
    assert set(table["answer"]) == {UP}
    assert table.select("p_not_de", "p_up", "p_down").unique().rows() == [(0.0, 1.0, 0.0)]
    assert set(table["reasoning"]) == {"It depends on it."}
    assert set(table["model"]) == {"openai/stub"}


def test_the_outcomes_change_no_request() -> None:
    requests = []
    for journal in ("a.sqlite", "b.sqlite"):
        with Stub(then=always_up) as stub:
            main(flags(stub, "--journal", journal))
            requests.append(sorted(map(told, stub.bodies)))
        for path in Path("data/perturbqa").glob("*-dir.csv"):
            # What went up goes down.
            lines = path.read_text().splitlines()
            rows = [line.split(",") for line in lines[1:]]
            text = [f"{p},{g},{1 - int(label)},{split}" for p, g, label, split in rows]
            path.write_text("\n".join([lines[0], *text]) + "\n")
    assert requests[0] == requests[1]


def test_probabilities_are_vote_shares_and_a_tie_goes_to_the_earlier_label() -> None:
    def by_sample(body: Body) -> Answer:
        count[told(body)] += 1
        return saying([UP, DOWN, UP, NOT_DE][count[told(body)] - 1])

    count: Counter[str] = Counter()
    with Stub(then=by_sample) as stub:
        main(flags(stub, "--samples", "4", "--in_flight", "1"))
        assert len(stub.bodies) == 4 * 28
    row = read_predictions(OUT).row(0, named=True)
    assert (row["p_not_de"], row["p_up"], row["p_down"]) == (0.25, 0.5, 0.25)
    assert (row["answer"], row["n_samples"]) == (UP, 4)


def test_a_sample_that_cannot_be_read_casts_no_vote() -> None:
    with Stub(Answer("hm " * 99), then=always_up) as stub:
        main(flags(stub, "--samples", "2", "--in_flight", "1"))
    table = read_predictions(OUT)
    assert set(table["p_up"]) == {1.0}


def test_what_cannot_be_read_is_null_with_its_reason() -> None:
    refusal = Answer(None, message={"refusal": "no"})
    script = [Answer("I do not know"), refusal, Answer(status=400), saying(DOWN)]
    with Stub(*script, then=always_up) as stub:
        main(flags(stub, "--in_flight", "1"))
    table = read_predictions(OUT)
    assert table["parse_status"].to_list()[:4] == ["abstain", "refused", "not_answered", "ok"]
    assert table["answer"].to_list()[:4] == [None, None, None, DOWN]
    assert table["p_up"].to_list()[:3] == [None] * 3


def test_the_same_command_asks_nothing_twice_and_writes_the_same_file() -> None:
    with Stub(then=always_up) as stub:
        main(flags(stub))
        first = OUT.read_bytes()
        main(flags(stub))
        assert len(stub.bodies) == 28
    assert OUT.read_bytes() == first


def test_what_was_not_answered_is_asked_by_the_next_run(capsys: pytest.CaptureFixture[str]) -> None:
    with Stub(Answer(status=400), then=always_up) as stub:
        main(flags(stub))
        assert "27 read, not_answered 1" in capsys.readouterr().out
        main(flags(stub))
        assert len(stub.bodies) == 29
    assert read_predictions(OUT)["answer"].null_count() == 0


def test_another_seed_asks_the_same_questions_anew() -> None:
    with Stub(then=always_up) as stub:
        main(flags(stub))
        main(flags(stub, "--seed", "1"))
        assert len(stub.bodies) == 56
    assert set(read_predictions(OUT)["seed"]) == {1}


def test_more_samples_keep_the_replies_of_fewer() -> None:
    with Stub(then=always_up) as stub:
        main(flags(stub, "--seed", "2"))
        main(flags(stub, "--seed", "2", "--samples", "3"))
        assert len(stub.bodies) == 28 * 3


def test_the_record_says_how_and_what_was_asked_and_holds_no_address() -> None:
    with Stub(then=always_up) as stub:
        main(flags(stub, "--temperature", "0.3", "--samples", "2", "--questions", "10"))
        address = stub.base
    record = read_record(OUT)
    assert record["decoding"] == {"temperature": 0.3, "max_tokens": 100}
    assert (record["n_samples"], record["prompts"], record["probe"]) == (2, "paper", None)
    assert (record["questions"]["count"], record["questions"]["of"]) == (10, 28)
    assert len(record["questions"]["sha256"]) == 64
    assert "votes" in record["probabilities"]
    assert address not in json.dumps(record)


def test_a_budget_ends_the_asking_and_what_is_there_can_be_written() -> None:
    # The stub's 7 tokens out cost 0.014 dollars; the 100 that a call may take at most, 0.2.
    dear = ["--output_price", "2000", "--in_flight", "1"]
    with Stub(then=always_up) as stub:
        with pytest.raises(StoppedError, match="budget"):
            main(flags(stub, *dear, "--budget", "0.25"))
        count = len(stub.bodies)
        assert 0 < count < 28
        assert not OUT.exists()
        main(flags(stub, *dear, "--export"))
        assert len(stub.bodies) == count
        assert read_predictions(OUT).height == count
        main(flags(stub, *dear, "--budget", "2"))
        assert len(stub.bodies) == 28


def test_the_direction_prompts_ask_only_of_what_is_differentially_expressed() -> None:
    with Stub(then=always_up) as stub:
        main(flags(stub, "--prompts", "direction"))
    assert set(read_predictions(OUT)["label"]) == {UP, DOWN}


def test_a_probe_asks_otherwise_and_keeps_the_answers_under_the_real_questions() -> None:
    with Stub(then=always_up) as stub:
        main(flags(stub, "--probe", "masked-gene"))
        asked = "".join(told(body) for body in stub.bodies)
    assert "GENE0" in asked
    assert "T0" not in asked
    table = read_predictions(OUT)
    assert "T0" in table["pert"].to_list()
    assert set(table["model"]) == {"openai/stub/masked-gene"}
    assert read_record(OUT)["probe"] == "masked-gene"


def test_who_looks_at_the_gene_alone_loses_nothing_and_who_knows_the_pair_does() -> None:
    test = split_questions(read_questions("data/perturbqa"))[1]
    known = {row[:3]: row[3] for row in test.select(*KEY, "label").iter_rows()}

    def accuracy(reader: Callable[[str, str, str], str], *more: str) -> float:
        def answer(body: Body) -> Answer:
            question = read_prompt(body["messages"]).question
            return saying(reader(question.cell_line, question.pert, question.gene))

        with Stub(then=answer) as stub:
            journal = f"{reader.__name__}.sqlite"
            main(flags(stub, "--journal", journal, *more))
        table = read_predictions(OUT)
        return float((table["answer"] == table["label"]).mean() or 0.0)

    def prior(line: str, pert: str, gene: str) -> str:
        return [NOT_DE, UP, DOWN][int(gene[1:]) % 3]

    def pairs(line: str, pert: str, gene: str) -> str:
        return str(known[line, pert, gene])

    swap = ("--probe", "swapped-perturbation")
    assert accuracy(prior) == accuracy(prior, *swap)
    assert accuracy(pairs) == 1
    assert accuracy(pairs, *swap) < 0.6


def test_the_default_name_of_a_probes_file_is_its_own() -> None:
    assert Settings("openai/a:b").place == Path("runs/ask/openai-a-b.parquet")
    probe = Settings("openai/a", probe="swapped-cell-line", seed=3).place
    assert probe == Path("runs/ask/openai-a-swapped-cell-line-seed3.parquet")
    other = Settings("openai/a", prompts="my/words.yaml", split="held_out:rpe1").place
    assert other == Path("runs/ask/openai-a-words-held_out-rpe1.parquet")


def test_a_table_of_ones_own_is_asked() -> None:
    Path("mine.csv").write_text("cell_line,pert,gene\nk562,A,B\nrpe1,C,D\n")
    with Stub(then=always_up) as stub:
        main(flags(stub, "--questions", "mine.csv"))
    assert read_predictions(OUT)["pert"].to_list() == ["A", "C"]


def test_the_teacher_of_facts_answers_without_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    sample = ROOT / "synthpert" / "sample"
    ask(Settings("offline/knowledge", data=sample, questions=40, out=OUT))
    table = read_predictions(OUT)
    assert table.height == 40
    assert table["answer"].null_count() < 40
    assert "40 predictions by offline/knowledge" in capsys.readouterr().out


def test_a_model_that_never_answers_leaves_no_file() -> None:
    with (
        Stub(then=lambda body: Answer(status=400)) as stub,
        pytest.raises(StoppedError, match="no call got a reply"),
    ):
        main(flags(stub, "--questions", "9"))
    assert not OUT.exists()


def test_a_second_run_on_the_journal_is_refused() -> None:
    journal = Path("runs/ask/journal.sqlite")
    with (
        Stub() as stub,
        Journal(journal, write=True),
        pytest.raises(StoppedError, match="another run is writing"),
    ):
        main(flags(stub))


@pytest.mark.parametrize(
    ("more", "what"),
    [
        (["--samples", "0"], "too small"),
        (["--poll", "-1"], "poll: too small"),
        (["--samples", "3", "--temperature", "0"], "all the same"),
        (["--questions", "1000"], "more questions than there are"),
        (["--cell_lines", "hela"], "no question of this cell line"),
        (["--probe", "upside-down"], "probe"),
        (["--out", "a.xlsx"], "written by suffix"),
        (["--parameters", '{"api_key": "x"}'], "keys are not written down"),
        (["--plan", "--export"], "one or the other"),
        (["--split", "random"], "unknown split"),
        (["--prompts", "nosuch"], "prompt set"),
    ],
)
def test_a_wrong_flag_is_one_line(more: list[str], what: str) -> None:
    with Stub() as stub:
        with pytest.raises(InputError, match=what):
            main(flags(stub, *more))
        assert stub.bodies == []


def test_whom_to_ask_has_to_be_said() -> None:
    with pytest.raises(InputError, match="whom to ask is not said"):
        main([])


def journal_states() -> Counter[str]:
    with Journal(Path("runs/ask/journal.sqlite")) as journal:
        return Counter(row["state"] for row in journal.rows())


def test_a_killed_run_loses_no_reply_and_asks_only_what_was_under_way(here: Path) -> None:
    in_flight = 3

    def steady(body: Body) -> Answer:
        answer = saying(UP)
        answer.delay = 0.03
        return answer

    with Stub(then=steady) as stub:
        more = flags(stub, "--samples", "3", "--in_flight", str(in_flight))
        command = [sys.executable, "-m", "synthpert", "ask", *more]
        for replies in (15, 45):
            child = subprocess.Popen(command, cwd=here, env=os.environ | {"PYTHONPATH": str(ROOT)})
            deadline = time.monotonic() + 120
            while len(stub.sent) < replies and time.monotonic() < deadline:
                assert child.poll() is None, "ended before it was killed"
                time.sleep(0.002)
            child.send_signal(signal.SIGKILL)
            assert child.wait() == -signal.SIGKILL
        main(more)
        requests = len(stub.bodies)
    assert requests - 84 <= 2 * in_flight
    assert journal_states()["answered"] == 84
    assert read_predictions(OUT)["answer"].null_count() == 0


def test_a_plan_asks_nobody_and_goes_down_with_what_is_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Stub(then=always_up) as stub:
        main(flags(stub, "--plan", "--budget", "1"))
        assert stub.bodies == []
        before = capsys.readouterr().out
        main(flags(stub, "--questions", "12"))
        capsys.readouterr()
        main(flags(stub, "--plan"))
    assert "| reader | openai/stub | 28 |" in before
    assert "Budget: US$ 1.00" in before
    assert "| reader | openai/stub | 16 |" in capsys.readouterr().out


@pytest.mark.parametrize("more", [[], ["--batch", "--poll", "0.05"]])
def test_litellm_answers_too_by_single_calls_and_by_batch(more: list[str]) -> None:
    server = BatchStub if more else Stub
    with server(then=always_up) as stub:
        given = ["--model", "openai/stub", "--api_base", stub.base, "--max-tokens", "100"]
        given += ["--input_price", "1", "--output_price", "2", "--budget", "1"]
        main([*given, "--questions", "8", "--samples", "2", "--out", str(OUT), *more])
    table = read_predictions(OUT)
    assert set(table["answer"]) == {UP}
    assert (table.height, journal_states()) == (8, {"answered": 16})
