"""`check`: one line for what is well-formed, a line for each fault of what is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from cli_recipe import recipe, write
from tiny import tiny_base, write_benchmark

from synthpert.__main__ import main
from synthpert.errors import InputError
from synthpert.questions import read_questions, split_questions
from synthpert.traces import write_traces
from tools.check import check
from tools.check.asked import KEYS
from tools.check.base_named import check_base
from tools.check.data_named import check_data
from tools.check.draft import Draft, split_words
from tools.check.findings import Findings
from tools.check.kinds import kind_of
from tools.check.recipe import check_recipe
from tools.check.room import check_room
from tools.check.traces_named import check_traces
from tools.check.wellformed import MOST

Change = Callable[[dict[str, Any]], object]
PARTS = (check_base, check_data, check_recipe, check_room, check_traces, KEYS, MOST)


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def found(change: Change, *flags: str) -> Findings:
    settings = recipe()
    change(settings)
    return check(Draft([Path(write(Path("a.yaml"), settings))], list(flags)))


def lines(change: Change, *flags: str) -> list[str]:
    return found(change, *flags).lines()


def init(**options: object) -> Change:
    return lambda settings: settings["data"]["init_args"].update(options)


def of_traces(**options: object) -> Change:
    data = {"class_path": "data_modules.traces.TraceDataModule", "init_args": options}
    return lambda settings: settings.update(data=data)


def traces(folder: Path, part: str = "train", **columns: object) -> str:
    """A file of traces of the benchmark in `folder`."""
    train, test = split_questions(read_questions(folder))
    rows = {"train": train, "test": test}[part]
    told = pl.concat_str([pl.col("pert"), pl.lit(" acts on "), pl.col("gene")], separator="")
    options = {"grade": "excellent", **columns}
    table = rows.select("cell_line", "pert", "gene", "label").with_columns(
        answer="label", reasoning=told, **{name: pl.lit(value) for name, value in options.items()}
    )
    write_traces(table, folder / "traces.parquet")
    return str(folder / "traces.parquet")


def test_a_sound_recipe_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    config = write(Path("a.yaml"), recipe())
    assert main(["check", config]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("ok: student scratch, all weights trained, made from nothing")
    assert (out.count("\n"), err) == (1, "")
    assert not Path("runs").exists()


def test_every_fault_has_its_line_in_the_order_of_the_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def spoil(settings: dict[str, Any]) -> None:
        settings["trainer"] |= {"max_steps": "many", "precison": "32-true"}
        settings["trainer"]["callbacks"][0]["init_args"] = {"every_n_steps": 0, "questons": 1}
        settings["trainer"]["callbacks"][1]["class_path"] += "s"
        settings["model"] |= {"max_tokens": 0, "prompts": "compct", "lora": {"r": 0, "x": {}}}
        settings["data"]["init_args"] |= {"batch_size": 0, "split": "other"}
        settings["modle"] = {}

    settings = recipe()
    spoil(settings)
    assert main(["check", write(Path("a.yaml"), settings)]) == 2
    out, err = capsys.readouterr()
    told = [line.split(" (")[0].split(":", 2) for line in err.splitlines()]
    assert out == ""
    assert [rest.split(": ")[0] for _, _, rest in told] == [
        "trainer.max_steps",
        "trainer.callbacks.init_args.every_n_steps",
        "trainer.callbacks.init_args.questons",
        "trainer.callbacks.class_path",
        "trainer.precison",
        "model.prompts",
        "model.max_tokens",
        "model.lora.r",
        "model.lora.x",
        "data.init_args.batch_size",
        "data.init_args.split",
        "modle",
    ]
    assert [int(row) for _, row, _ in told] == sorted(int(row) for _, row, _ in told)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (init(data="nowhere"), "data.init_args.data: nowhere: no such folder (expected a folder"),
        (init(cell_lines=["K562"]), "data.init_args.cell_lines: "),
        (init(split="held_out:hela"), "data.init_args.split: unknown cell line (got 'held_out:hel"),
        (init(questions="mine.csv"), "data.init_args.questions: mine.csv: no such file"),
        (init(mix={"file": "qa.jsonl", "ratio": 0.5}), "data.init_args.mix.file: no such file"),
        (of_traces(traces="no.parquet"), "data.init_args.traces: no such file (got 'no.parquet'; "),
        (lambda x: x["model"]["scratch"].update(heads=3), "model.scratch.heads: heads do not"),
        (lambda x: x["model"].update(scratch=None, base="./no"), "model.base: no such folder"),
        (lambda x: x["model"].update(dtype="bfloat16"), "model.dtype: trained weights are not flo"),
        (lambda x: x["model"].update(template="as_shipped"), "a.yaml:model.loss_on: the shipped "),
        (lambda x: x["model"].update(quantize="4bit"), "a.yaml:model.lora: a 4-bit base cannot"),
        (lambda x: x.update(run="a.yaml"), "run: this is a file (got 'a.yaml'; expected a dire"),
        (lambda x: x["trainer"].update(max_steps=-5), "trainer: "),
    ],
)
def test_what_a_recipe_names_is_looked_for(change: Change, line: str) -> None:
    told = lines(change)
    assert len(told) == 1
    assert told[0].partition("a.yaml:")[2].partition(":")[2].startswith(line) or line in told[0]


def test_a_fault_in_a_flag_is_not_blamed_on_the_file() -> None:
    (line,) = lines(lambda settings: None, "--data.init_args.split", "none")
    assert line.startswith("synthpert check:data.init_args.split: unknown split (got 'none'")


def test_a_flag_mends_what_the_file_has_wrong() -> None:
    assert lines(init(split="none"), "--data.init_args.split", "strict") == []


def test_files_are_merged_in_their_order() -> None:
    files = [Path(write(Path("a.yaml"), recipe())), Path("b.yaml")]
    files[1].write_text("data:\n  init_args:\n    split: strict\n")
    assert any("split strict" in fact for fact in check(Draft(files, [])).facts)


def test_an_overlay_by_itself_says_so() -> None:
    Path("b.yaml").write_text("data:\n  init_args:\n    splt: strict\n")
    unknown, overlay = check(Draft([Path("b.yaml")], [])).lines()
    assert "b.yaml:data.splt" in unknown or "data.init_args.splt" in unknown
    assert "an overlay, which is no recipe by itself (expected synthpert check configs" in overlay


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_file_is_a_fault(text: str) -> None:
    Path("b.yaml").write_text(text)
    assert check(Draft([Path("b.yaml")], [])).lines() == [
        "b.yaml: holds nothing (expected a recipe)"
    ]


def test_every_file_that_cannot_be_read_is_named() -> None:
    Path("b.yaml").write_text("a: [1\n")
    told = check(Draft([Path("b.yaml"), Path("no.yaml")], [])).lines()
    assert [line.partition(":")[0] for line in told] == ["b.yaml", "no.yaml"]


def test_traces_of_a_test_perturbation_are_refused(tmp_path: Path) -> None:
    folder = write_benchmark(tmp_path / "data")
    file = traces(folder, "test")
    (line,) = lines(of_traces(traces=file, data=str(folder)))
    assert "data.init_args.traces: 28 traces that would be kept are of test perturbations" in line
    assert lines(of_traces(traces=file, data=str(folder), test_traces="drop")) == []


def test_traces_of_other_grades_are_refused(tmp_path: Path) -> None:
    folder = write_benchmark(tmp_path / "data")
    file = traces(folder, grade="bad")
    (line,) = lines(of_traces(traces=file, data=str(folder)))
    assert "none of 92 traces looked at is kept (got 'grade_too_low 92'" in line


def test_a_grade_that_is_none_is_one_line(tmp_path: Path) -> None:
    folder = write_benchmark(tmp_path / "data")
    (line,) = lines(of_traces(traces=traces(folder), data=str(folder), grades=["great"]))
    assert "data.init_args.grades: unknown grade (got 'great'" in line


def test_a_base_on_disk_is_looked_into(tmp_path: Path) -> None:
    base = Path(tiny_base(tmp_path / "base"))
    lora = {"r": 2, "targets": ["nothing"]}
    options = {"scratch": None, "base": str(base), "dtype": "float32"}
    assert lines(lambda x: x["model"].update(options)) == []
    (line,) = lines(lambda x: x["model"].update(options, lora=lora))
    assert "model.lora.targets: no such layers in the base (got ['nothing']; expected" in line
    (base / "model.safetensors").unlink()
    (line,) = lines(lambda x: x["model"].update(options))
    assert "model.base: " in line
    assert "no weights in it" in line


def test_a_base_of_the_hub_is_to_be_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def hub(settings: dict[str, Any]) -> None:
        settings["model"].update(scratch=None, base="nobody/nothing", lora={"r": 2})

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert "base to be downloaded from the hub" in found(hub).facts
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "model.base: not in the cache, and HF_HUB_OFFLINE is set" in lines(hub)[0]


def test_a_full_disk_is_told_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    usage = shutil.disk_usage("/")._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    (line,) = lines(lambda settings: None, "--run", "here")
    assert "synthpert check:run: the checkpoints take " in line
    assert "expected another --run, or a smaller save_top_k" in line


def test_a_package_of_ones_own_needs_to_be_let_in(tmp_path: Path) -> None:
    (tmp_path / "mylab_check.py").write_text(
        "import lightning as L\nclass Mine(L.Callback):\n    def __init__(self, n: int = 1):\n"
        "        self.n = n\n"
    )
    callback = {"class_path": "mylab_check.Mine", "init_args": {"m": 2}}
    change: Change = lambda x: x["trainer"]["callbacks"].append(callback)  # noqa: E731
    assert "--import-from PACKAGE" in lines(change)[0]
    (line,) = lines(change, "--import-from", "mylab_check")
    assert "unknown key (got 'm'; " in line or "unknown key (got 'm')" in line


def test_settings_of_traces_are_told_by_their_keys() -> None:
    Path("t.yaml").write_text("teacher:\n  model: offline/template\nquestions: 10\n")
    told = check(Draft([Path("t.yaml")], ["--seed", "3"]))
    assert told.lines() == []
    assert told.facts[0] == "traces by offline/template, prompts paper"
    assert "10 train questions, split default" in told.facts


def test_every_fault_of_settings_has_its_line() -> None:
    Path("t.yaml").write_text("techer: {}\nquestions: many\nprompts: [1]\ncritics: []\n")
    told = check(Draft([Path("t.yaml")], [])).lines()
    assert [line.split(":")[2] for line in told] == ["techer", "questions", "prompts"]


def test_a_key_that_is_not_set_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    Path("q.yaml").write_text("model: openai/gpt-5.6-terra\nquestions: 10\n")
    told = check(Draft([Path("q.yaml")], []))
    assert (told.lines(), told.facts[-1]) == ([], "not set here: OPENAI_API_KEY")


def test_a_setting_that_makes_no_sense_has_its_place() -> None:
    Path("q.yaml").write_text("model: offline/knowledge\nsamples: 0\n")
    (line,) = check(Draft([Path("q.yaml")], [])).lines()
    assert line == "q.yaml:2:samples: too small (got 0; expected 1 or more)"


def test_a_prompt_set_is_read_back() -> None:
    Path("p.yaml").write_text("user: '{cell_line} {pert}'\n")
    (line,) = check(Draft([Path("p.yaml")], [])).lines()
    assert line == "p.yaml:user: missing slot (expected {gene} in the text)"


def test_no_file_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 2
    assert "no recipe (expected configs/NAME.yaml)" in capsys.readouterr().err


def test_words_are_files_until_the_first_flag() -> None:
    words = ["a.yaml", "--config", "b.yaml", "--run", "x", "--config=c.yaml"]
    assert split_words(words) == ([Path("a.yaml"), Path("b.yaml"), Path("c.yaml")], ["--run", "x"])


def test_a_kind_is_told_by_most_of_the_keys() -> None:
    assert kind_of([], ["trainer.max_steps", "model.base"]) == "recipe"
    assert kind_of([], ["model", "samples"]) == "ask"
    assert kind_of([], ["teacher.model", "questions"]) == "traces"


def test_what_is_found_twice_is_told_once() -> None:
    told = Findings(Draft([], []))
    told.add(InputError("wrong", column="a"))
    told.add(InputError("wrong", column="a"))
    assert told.lines() == ["synthpert check:a: wrong"]
