"""Where keys stand, and the keys that jsonargparse passes over in silence."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest
import yaml
from cli_recipe import recipe, write
from hypothesis import given, settings
from hypothesis import strategies as st

from synthpert.__main__ import main
from synthpert.errors import InputError
from synthpert.recipe_keys import empty_values, odd_keys, swallowed_keys
from synthpert.scratch import Scratch
from synthpert.yaml_places import places

FLAGS = {"trainer.max_steps", "trainer.precision", "model.base", "data", "run", "help", "config"}
KEYS = st.text("abc_", min_size=1, max_size=4)
TREES = st.dictionaries(
    KEYS,
    st.recursive(
        st.integers() | st.none() | KEYS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


def written(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "a.yaml"
    file.write_text(text)
    return [str(error) for error in odd_keys(places(file), FLAGS)]


def test_a_key_has_its_line_its_path_and_the_class_it_is_given_to(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("trainer:\n  callbacks:\n  - class_path: a.B\n    init_args:\n      n: 1\n")
    last = places(file)[-1]
    assert (last.line, last.key, last.owner) == (5, "trainer.callbacks.init_args.n", "a.B")
    assert last.path == ("trainer", "callbacks", 0, "init_args", "n")


@settings(max_examples=50)
@given(TREES)
def test_every_key_of_any_tree_is_found_once(tmp_path_factory: object, tree: dict) -> None:  # type: ignore[type-arg]
    def keys(value: object) -> int:
        if isinstance(value, dict):
            return len(value) + sum(map(keys, value.values()))
        return sum(map(keys, value)) if isinstance(value, list) else 0

    file = tmp_path_factory.getbasetemp() / "tree.yaml"  # type: ignore[attr-defined]
    file.write_text(yaml.safe_dump(tree))
    found = places(file)
    assert len({place.path for place in found}) == len(found) == keys(tree)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: 1\nb: 2\na: 3\n", ":3:a: key stands twice, also in line 1"),
        ("- a\n- b\n", ":1: holds no keys (got 'a list'; expected KEY: VALUE)"),
        ("model\n", ":1: holds no keys (got 'model'"),
        ("a: [1\nb: 2\n", ":2: this is no YAML"),
        ("a: &x\n  b: *x\n", ":2:a.b: contains itself (expected an alias of what does not"),
        ("x: &a {k: &b {l: *a}}\ny: *b\n", ":1:x.k.l: contains itself"),
        ("a:\n- &x [1, *x]\n", ":2:a: contains itself"),
        ("a: &x\n  <<: *x\n", ":2:a.<<: contains itself"),
        ("a: !!python/object/apply:os.system [b]\n", "a tag that is not read here (got '!!python/"),
        ("b: 1\na: !mine 2\n", ":2:a: a tag that is not read here (got '!mine'"),
        ("? [a, b]\n: 1\n", ":1: a key that is no text (got 'a list or a mapping'"),
        ("b: 1\ntrue: 3\n", ":2: a key that is no text (got 'true'; expected a name, or it in"),
        ("a:\n  2: 3\n", ":2:a: a key that is no text (got '2'"),
        ("? !!python/name:os.system\n: 1\n", ":1: a key that is no text"),
    ],
)
def test_what_is_no_file_of_keys_is_refused_with_its_line(
    text: str, what: str, tmp_path: Path
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        places(file)
    assert what in str(caught.value)


def test_an_alias_may_stand_twice_and_an_argument_may_have_numbers_for_keys(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a: &x {b: 1}\nc: *x\nd: {e: {4: 2}}\n")
    assert "d.e.4" in [place.key for place in places(file)]


def test_an_unknown_key_is_found_even_where_it_holds_nothing(tmp_path: Path) -> None:
    (line,) = written(tmp_path, "modle: {}\nrun: x\n")
    assert line.endswith("a.yaml:1:modle: unknown key (got 'modle'; did you mean 'model'?)")


def test_a_list_in_place_of_a_group_is_found(tmp_path: Path) -> None:
    (line,) = written(tmp_path, "trainer: [1]\n")
    assert "a.yaml:1:trainer: wrong value (got 'a list'; expected keys such as max_steps" in line


def test_an_empty_mapping_that_was_passed_over_is_found(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("model:\n  lora:\n    rr: {}\n    r: 1\n  more: {}\n")
    parsed = {"model": {"lora": {"r": 1, "rank": 2}, "more": {}}}
    (error,) = swallowed_keys(places(file), parsed)
    assert (error.row, error.column) == (3, "model.lora.rr")


@pytest.mark.parametrize("verb", ["fit", "preview"])
@pytest.mark.parametrize(
    ("extra", "line"),
    [
        ("modle: {}", "modle: unknown key (got 'modle'; did you mean 'model'?)"),
        ("trainer: [1]", "trainer: wrong value (got 'a list'; expected keys such as"),
        ("watch: 3", "watch: wrong value (got '3'; expected keys such as group, mode, name)"),
        ("trainer:", "trainer: wrong value (got 'nothing'; expected keys such as"),
    ],
)
def test_a_recipe_with_a_hole_is_refused_by_the_verbs(
    verb: str,
    extra: str,
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    config = recipe()
    config.pop(extra.partition(":")[0], None)
    Path(write(Path("a.yaml"), config)).open("a").write(f"{extra}\n")
    assert main([verb, "--config", "a.yaml"]) == 2
    assert line in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("group", "key", "expected"),
    [("model", "learning_rate", "float"), ("trainer", "callbacks", "")],
)
def test_a_key_with_nothing_behind_it_is_refused_where_its_type_needs_a_value(
    group: str,
    key: str,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    config = recipe()
    config[group][key] = None
    code = main(["check", write(Path("a.yaml"), config)])
    line = f"{group}.{key}: wrong value (got 'null'; expected {expected})"
    assert (code == 2, line in capsys.readouterr().err) == (bool(expected), bool(expected))


def test_values_within_classes_and_dataclasses_are_needed_too(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(
        "model:\n  scratch:\n    heads:\ndata:\n  class_path: pathlib.Path\n  init_args:\n    x:\n"
    )
    kind = Namespace(dest="model.scratch", _typehint=Scratch | None)
    (error,) = empty_values(places(file), [kind])  # type: ignore[list-item]
    assert (error.row, error.column, error.expected) == (3, "model.scratch.heads", "int")
