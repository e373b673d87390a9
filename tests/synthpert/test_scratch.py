"""A model from nothing: a lossless tokenizer, seeded weights, a folder that is never lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import REASONING

from synthpert.bases import ensure_scratch
from synthpert.errors import InputError
from synthpert.scratch import Scratch, is_current, make_base, make_tokenizer, split_words

TEXTS = ["k562 HLA-A C1orf43", REASONING, "<think>\n</think>\n<answer>upregulated</answer>"]
WORDS = split_words(TEXTS)
TOKENIZER = make_tokenizer(WORDS)
SIZE = Scratch(hidden_size=16, layers=1, heads=2, intermediate_size=16)
SPECIAL = ("<|begin|>", "<|end|>", "<|pad|>", "<|assistant|>")


@given(st.text().filter(lambda text: not any(word in text for word in SPECIAL)))
def test_any_text_comes_back(text: str) -> None:
    ids = TOKENIZER(text, add_special_tokens=False).input_ids
    assert TOKENIZER.decode(ids, skip_special_tokens=False) == text


@pytest.mark.parametrize("word", ["k562", " HLA-A", " C1orf43", "<think>", "</answer>", "  "])
def test_known_word_is_one_id(word: str) -> None:
    assert len(TOKENIZER(word, add_special_tokens=False).input_ids) == 1


def test_unknown_word_is_its_bytes() -> None:
    assert len(TOKENIZER("ZNF7", add_special_tokens=False).input_ids) == 4


def test_words_are_cut_as_the_tokenizer_cuts_them() -> None:
    (text,) = TEXTS[:1]
    assert list(split_words([text])) == ["k562", " HLA-A", " C1orf43"]
    assert len(TOKENIZER(text, add_special_tokens=False).input_ids) == 3


def test_prompt_opens_the_thought_if_asked() -> None:
    tokenizer = make_tokenizer(WORDS, opens_thought=True)
    turn = [{"role": "user", "content": "k562"}]
    text = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    assert text == "<|begin|>k562<|assistant|><think>\n"


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_same_seed_makes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_base(tmp_path / name, SIZE, WORDS)
    assert weights(tmp_path / "one") == weights(tmp_path / "two")
    names = ("tokenizer.json", "config.json")
    assert all(
        (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
        for name in names
    )


def test_another_seed_makes_others(tmp_path: Path) -> None:
    make_base(tmp_path / "one", SIZE, WORDS)
    make_base(tmp_path / "two", Scratch(16, 1, 2, 16, seed=1), WORDS)
    assert weights(tmp_path / "one") != weights(tmp_path / "two")


def test_folder_is_current_for_just_its_own_size_and_words(tmp_path: Path) -> None:
    make_base(tmp_path / "one", SIZE, WORDS)
    assert is_current(tmp_path / "one", SIZE, WORDS)
    assert not is_current(tmp_path / "one", Scratch(16, 2, 2, 16), WORDS)
    assert not is_current(tmp_path / "one", SIZE, split_words([*TEXTS, "ZNF7"]))
    assert not is_current(tmp_path / "two", SIZE, WORDS)


def test_rare_words_are_left_to_bytes(tmp_path: Path) -> None:
    size = Scratch(16, 1, 2, 16, min_count=2)
    make_base(tmp_path / "one", size, split_words(["k562 AARS", "k562"]))
    assert is_current(tmp_path / "one", size, split_words(["k562 B2M", "k562"]))


def test_heads_that_do_not_divide_the_width_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"scratch\.heads: heads do not divide"):
        make_base(tmp_path / "one", Scratch(hidden_size=16, heads=3), WORDS)
    assert not list(tmp_path.iterdir())


def test_missing_base_is_made_and_then_used_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "bases" / "one"
    ensure_scratch(folder, SIZE, TEXTS)
    made = (folder / "config.json").stat().st_mtime_ns
    ensure_scratch(folder, SIZE, TEXTS)
    assert (folder / "config.json").stat().st_mtime_ns == made


def test_folder_with_another_model_is_never_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "precious.txt").write_text("weights")
    with pytest.raises(InputError, match="the folder holds another model"):
        ensure_scratch(folder, SIZE, TEXTS)
    assert [path.name for path in folder.iterdir()] == ["precious.txt"]


def test_base_of_other_data_is_never_overwritten(tmp_path: Path) -> None:
    ensure_scratch(tmp_path / "one", SIZE, TEXTS)
    before = weights(tmp_path / "one")
    with pytest.raises(InputError, match="another model"):
        ensure_scratch(tmp_path / "one", SIZE, [*TEXTS, "ZNF7"])
    assert weights(tmp_path / "one") == before


def test_empty_folder_is_a_place_for_a_base(tmp_path: Path) -> None:
    ensure_scratch(tmp_path, SIZE, TEXTS)
    assert (tmp_path / "model.safetensors").is_file()
