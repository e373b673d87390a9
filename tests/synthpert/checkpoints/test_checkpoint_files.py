"""Checkpoint files: whole or absent, known by their checksum, read without running anything."""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import random
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign_checkpoint import Trap, vouch_for

from synthpert.checkpoints import files as checkpoint_files
from synthpert.checkpoints.files import checksums, load, previous, refuse_damaged, save
from synthpert.errors import InputError


def content(number: float) -> dict[str, Any]:
    return {"state_dict": {"weight": torch.full((300,), number)}, "step": number}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A checkpoint of step 1."""
    path = tmp_path / "checkpoints" / "last.ckpt"
    save(content(1), path)
    return path


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def in_a_fork(act: Callable[[], object]) -> int:
    """Do it in a process of its own; its exit code, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            act()
            code = 0
        except InputError as error:
            os.write(2, f"{error}\n".encode())
            code = 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_was_saved_comes_back(path: Path) -> None:
    loaded = load(path)
    assert loaded["step"] == 1
    torch.testing.assert_close(loaded["state_dict"], content(1)["state_dict"])


def test_the_checksum_is_in_the_form_of_sha256sum(path: Path) -> None:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert checksums(path).read_text() == f"{digest}  last.ckpt\n"
    assert names(path.parent) == {"last.ckpt", "last.ckpt.sha256"}


def test_of_1000_checkpoints_with_a_flipped_bit_1000_are_refused_by_name(path: Path) -> None:
    whole, chance, refused = path.read_bytes(), random.Random(0), 0
    for bit in chance.sample(range(8 * len(whole)), 1000):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(InputError, match=r"last\.ckpt: the checkpoint is damaged"):
            refuse_damaged(path)
        refused += 1
    assert refused == 1000
    path.write_bytes(whole)
    refuse_damaged(path)


def test_a_checkpoint_that_was_cut_off_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="damaged"):
        load(path)


def test_a_flipped_bit_of_the_checksum_is_refused(path: Path) -> None:
    text = checksums(path).read_text()
    checksums(path).write_text(("0" if text[0] != "0" else "1") + text[1:])
    with pytest.raises(InputError, match="damaged"):
        refuse_damaged(path)


def test_a_checkpoint_without_checksum_is_refused_with_the_command_that_makes_one(
    path: Path,
) -> None:
    checksums(path).unlink()
    with pytest.raises(InputError, match=r"sha256sum last\.ckpt > last\.ckpt\.sha256"):
        load(path)


def test_the_checkpoint_that_a_save_replaces_stays(path: Path) -> None:
    for number in (2, 3):
        save(content(number), path)
        assert load(path)["step"] == number
        assert load(previous(path))["step"] == number - 1
    assert len(names(path.parent)) == 4


def test_a_kill_between_any_two_file_operations_leaves_a_good_checkpoint(tmp_path: Path) -> None:
    seen = []
    for moment in range(100):
        path = tmp_path / str(moment) / "last.ckpt"
        save(content(1), path)
        save(content(2), path)
        code = in_a_fork(lambda path=path, moment=moment: save_and_die(path, moment))
        good = [load(each)["step"] for each in sorted(path.parent.glob("*.ckpt"))]
        assert good in ([1, 2], [2], [2, 3])
        seen.append(good)
        if code == 0:
            break
    assert code == 0
    assert seen[0] == [1, 2]
    assert [2] in seen
    assert seen[-1] == [2, 3]


def save_and_die(path: Path, moment: int) -> None:
    """Save a third checkpoint and be killed before so many file operations of it are done."""
    left = [moment]

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("open", "os.rename", "os.remove"):
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1

    sys.addaudithook(count)
    save(content(3), path)


def test_what_a_kill_has_left_is_written_over(path: Path) -> None:
    in_a_fork(lambda: save_and_die(path, 1))
    assert ".unfinished" in names(path.parent)
    save(content(2), path)
    assert len(names(path.parent)) == 4


@pytest.mark.parametrize("size", [0, 600, 3000])
def test_a_full_disk_is_one_line_and_loses_nothing(path: Path, size: int) -> None:
    with files_no_larger_than(size), pytest.raises(InputError) as error:
        save(content(2), path)
    assert str(error.value) == f"{path}: cannot be written: {os.strerror(errno.EFBIG)}"
    assert load(path)["step"] == 1
    assert names(path.parent) == {"last.ckpt", "last.ckpt.sha256"}


def test_a_read_only_folder_is_one_line_and_loses_nothing(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path.parent.chmod(0o555)

    def try_as_a_user() -> None:
        os.chdir(path.parent)
        if os.getuid() == 0:  # root may write everywhere
            os.setuid(65534)
        save(content(2), Path(path.name))

    assert in_a_fork(try_as_a_user) == 2
    assert capfd.readouterr().err == "last.ckpt: cannot be written: Permission denied\n"
    path.parent.chmod(0o755)
    assert load(path)["step"] == 1


@pytest.mark.parametrize("dump", [pickle.dump, torch.save])
def test_a_foreign_pickle_is_one_line_and_runs_nothing(
    dump: Callable[..., None], tmp_path: Path
) -> None:
    path, sprung = tmp_path / "foreign.ckpt", tmp_path / "sprung"
    with path.open("wb") as file:
        dump({"state_dict": Trap(sprung)}, file)
    vouch_for(path)
    with pytest.raises(InputError, match=r"foreign\.ckpt: not loaded: it holds code or objects"):
        load(path)
    assert not sprung.exists()


def test_a_file_of_another_kind_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "notes.ckpt"
    path.write_bytes(b"PK\x03\x04 and nothing else")
    vouch_for(path)
    with pytest.raises(InputError, match=r"notes\.ckpt: "):
        load(path)


def test_a_deleted_checkpoint_leaves_nothing(path: Path) -> None:
    save(content(2), path)
    checkpoint_files.remove(path)
    checkpoint_files.remove(path)
    assert not names(path.parent)


def test_a_folder_of_a_sharded_strategy_is_not_looked_into(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").mkdir()
    refuse_damaged(tmp_path / "last.ckpt")
    checkpoint_files.remove(tmp_path / "last.ckpt")
    assert not names(tmp_path)
