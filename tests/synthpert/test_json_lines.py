"""JSONL: one object a line, and no line that means something else than it says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthpert.errors import InputError
from synthpert.json_lines import DEEPEST, read_json_lines

if TYPE_CHECKING:
    from pathlib import Path

OBJECTS = st.dictionaries(
    st.text(), st.recursive(st.text() | st.integers(), st.lists, max_leaves=5)
)


@given(st.lists(OBJECTS), st.booleans())
def test_what_a_json_writer_wrote_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, objects: list[dict[str, object]], ascii: bool
) -> None:
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    lines = [json.dumps(each, ensure_ascii=ascii) + "\n" for each in objects]
    path.write_bytes("".join(lines).encode("utf-8", "surrogatepass"))
    assert [found for _, found in read_json_lines(path)] == objects


def test_rows_are_those_of_the_file_whatever_ends_its_lines(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\n{"a": 2}\n')
    assert list(read_json_lines(tmp_path / "a.jsonl")) == [(1, {"a": 1}), (3, {"a": 2})]


def test_brackets_in_a_text_are_no_nesting(tmp_path: Path) -> None:
    text = '[{"\\' * DEEPEST
    (tmp_path / "a.jsonl").write_text(json.dumps({"code": text}))
    assert list(read_json_lines(tmp_path / "a.jsonl")) == [(1, {"code": text})]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"a": 1', "not JSON: Expecting ',' delimiter at character 8"),
        ('[{"a": 1}]', "not an object but an array (expected one object a line)"),
        ("3", "not an object but int"),
        ('{"b": {"a": 1, "a": 1}}', "a: key stands twice (expected each key once)"),
        ('{"a": NaN}', "not JSON: NaN is no JSON"),
        ('{"a": ' + "9" * 5000 + "}", "not JSON: Exceeds the limit"),
        ('{"a": ' + "[" * 5000 + "]" * 5000 + "}", "nested more than 100 deep"),
        ("[" * 5000, "nested more than 100 deep"),
    ],
)
def test_a_line_that_is_no_plain_object_is_refused_by_its_row(
    line: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "a.jsonl").write_text(f'{{"a": 0}}\n{line}\n')
    with pytest.raises(InputError) as caught:
        list(read_json_lines(tmp_path / "a.jsonl"))
    assert str(caught.value).startswith(f"{tmp_path / 'a.jsonl'}:2:")
    assert said in str(caught.value)


def test_a_file_that_is_not_utf_8_is_refused_by_its_row(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"a": 0}\n{"a": "\xe9"}\n')
    with pytest.raises(InputError, match=r"a\.jsonl:2: not UTF-8 text .got b'\\xe9'"):
        list(read_json_lines(tmp_path / "a.jsonl"))
