"""The parts of a screen: each whole or absent, known by its SHA-256, and joined when all are there.

They lie in a folder beside the file that they become, with a manifest that says which questions
they answer and how. A part's checksum is in its name, so one rename makes both.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from synthpert.errors import InputError
from synthpert.files import sha256, sync, whole_file, writing
from synthpert.predictions import check_suffix
from synthpert.predictions.records import METADATA_KEY, read_record, to_json, write_beside
from synthpert.screening.blocks import refuse_nested

if TYPE_CHECKING:
    from collections.abc import Mapping

    from synthpert.screening.asked import Asked

log = logging.getLogger(__name__)

RECORDED: Final = "screen"
"""Under this name the record of a finished file says what it answers."""
_MANIFEST, _QUESTIONS, _LOCK = "manifest.json", "questions", "lock"
_PARTS = "part-*"
_NAME = re.compile(r"part-(\d{8})-([0-9a-f]{64})\.parquet")


class Manifest(NamedTuple):
    """What the parts of a folder are of.

    Args:
        identity: The questions and how they are answered; other answers have another.
        questions: How many there are.
        part_size: Questions of a part, but for the last.
        run: The name of the run that began them.
    """

    identity: dict[str, Any]
    questions: int
    part_size: int
    run: str = ""

    @property
    def parts(self) -> int:
        """How many parts there are to be."""
        return -(-self.questions // self.part_size)

    def size(self, part: int) -> int:
        """How many questions a part has."""
        return min(self.part_size, self.questions - part * self.part_size)


def parts_folder(place: Path) -> Path:
    """Where the parts of a prediction file lie until it is whole."""
    return place.with_name(f"{place.name}.parts")


def questions_folder(place: Path) -> Path:
    """Where the questions that were put aside lie."""
    return parts_folder(place) / _QUESTIONS


def lock_path(place: Path) -> Path:
    """What a process holds while it writes the parts."""
    return parts_folder(place) / _LOCK


def is_finished(place: Path, identity: Mapping[str, Any]) -> bool:
    """Whether a prediction file answers these very questions in this way.

    Args:
        place: The file, which need not exist.
        identity: As in its manifest.

    Raises:
        InputError: If it is there and of something else, or parts of something else are.
    """
    check_suffix(place)
    folder = parts_folder(place)
    begun = _read(folder)
    if begun is not None and begun.identity != _plain(identity) and not any(folder.glob(_PARTS)):
        # Nothing was answered: what began it was refused, or only tried.
        begun = None
    if begun is not None and begun.identity != _plain(identity):
        raise InputError(
            f"unfinished predictions {_differing(begun.identity, identity)} lie here",
            file=folder,
            expected="the command that began them, another --out, or the folder removed",
        )
    if place.is_dir():
        raise InputError("is a folder", file=place, expected="a file")
    if not place.exists():
        return False
    written = read_record(place).get(RECORDED)
    if written and _of_whole(written) == _of_whole(_plain(identity)):
        return True
    # A kill between a .csv and its record leaves the one without the other: it is made again.
    if begun is None or written:
        whose = _differing(written, identity) if written else "of something else"
        raise InputError(
            f"predictions {whose} lie here", file=place, expected="another --out, or it removed"
        )
    return False


def begin(
    place: Path, asked: Asked, identity: Mapping[str, Any], part_size: int, run: str = ""
) -> Manifest:
    """Put the questions aside and write the manifest, unless that was done before.

    Args:
        place: The prediction file to be.
        asked: Its questions.
        identity: As `is_finished` was told.
        part_size: Questions of a part.
        run: The run's name, which the answers of a screen that goes on keep.

    Raises:
        InputError: If a question is not sound, or nothing can be written there.
    """
    folder = parts_folder(place)
    begun = _read(folder)
    if begun is not None and begun.identity == _plain(identity):
        return begun
    try:
        with writing(folder, "room for it"):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / _MANIFEST).unlink(missing_ok=True)
            # A kill while an earlier screen was cleared away leaves parts without a manifest.
            for old in (*folder.glob(_PARTS), *folder.glob(f".{_PARTS}")):
                old.unlink()
            shutil.rmtree(questions_folder(place), ignore_errors=True)
            count = asked.stage(questions_folder(place), part_size)
            sync(questions_folder(place))
            if asked.identity() != identity["questions"]:
                what, expected = "the questions changed while they were read", "the command again"
                raise InputError(what, file=place, expected=expected)
            refuse_nested(place, asked.blocks(questions_folder(place), part_size))
            manifest = Manifest(_plain(identity), count, part_size, run)
            with whole_file(folder / _MANIFEST) as beside:
                beside.write_text(json.dumps(manifest._asdict(), indent=1), encoding="utf-8")
    except InputError:
        # Nothing was answered yet: what is wrong with the questions leaves nothing behind.
        remove(place)
        raise
    return manifest


def manifest_of(place: Path) -> Manifest:
    """Read the manifest of a screen that has begun."""
    begun = _read(parts_folder(place))
    if begun is None:
        raise InputError("has no manifest", file=parts_folder(place))
    return begun


def good_parts(place: Path) -> dict[int, Path]:
    """The parts that are what was written, by number; a damaged one is announced and removed."""
    found: dict[int, Path] = {}
    folder = parts_folder(place)
    for path in sorted(folder.iterdir()):
        named = _NAME.fullmatch(path.name)
        if named is None:
            if path.name.startswith(".part-"):  # a kill left it half written
                path.unlink()
            continue
        if sha256(path) == named[2]:
            found[int(named[1])] = path
        else:
            log.warning("%s is damaged: its SHA-256 is another; it is made again", path)
            path.unlink()
    return found


def write_part(place: Path, part: int, table: pl.DataFrame) -> int:
    """Write a part whole or not at all.

    Args:
        place: The prediction file to be.
        part: Its number.
        table: Its rows: the columns of a prediction, then the user's.

    Returns:
        Its size in bytes.

    Raises:
        InputError: If it cannot be written, such as where the disk is full.
    """
    folder = parts_folder(place)
    half = folder / f".part-{part:08d}.parquet"
    with writing(folder, "room for it; the same command then goes on"):
        try:
            table.write_parquet(half)
            sync(half)
            size = half.stat().st_size
            half.replace(folder / f"part-{part:08d}-{sha256(half)}.parquet")
            sync(folder)
        finally:
            half.unlink(missing_ok=True)
    return size


def join(place: Path, record: Mapping[str, Any]) -> pl.DataFrame:
    """Join all parts into the prediction file, row after row, and remove them.

    Args:
        place: The prediction file to be.
        record: How it was made.

    Returns:
        How often each `answer` was given to each `label`: these two, and `len`.

    Raises:
        InputError: If the file cannot be written, or the user's columns have no place in a .csv.
    """
    manifest, parts = manifest_of(place), good_parts(place)
    lazy = pl.scan_parquet([parts[part] for part in range(manifest.parts)], glob=False)
    record = {**record, RECORDED: manifest.identity}
    try:
        counts = lazy.group_by("label", "answer").len().collect(engine="streaming")
        if place.suffix == ".csv":
            # That of an older file would speak for this one if we were killed in between.
            write_beside({}, place)
        with whole_file(place) as beside:
            if place.suffix == ".csv":
                lazy.sink_csv(beside)
            else:
                lazy.sink_parquet(beside, metadata={METADATA_KEY: to_json(record)})
    except pl.exceptions.ComputeError as error:
        raise InputError(
            f"cannot be written: {str(error).splitlines()[0]}", file=place, expected=".parquet"
        ) from None
    if place.suffix == ".csv":
        write_beside(record, place)
    sync(place.parent)
    remove(place)
    return counts


def remove(place: Path) -> None:
    """Remove the parts of a prediction file; the manifest goes first, so none is taken for good."""
    folder = parts_folder(place)
    (folder / _MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _read(folder: Path) -> Manifest | None:
    path = folder / _MANIFEST
    try:
        found = Manifest(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"cannot be read: {error}", file=path, expected="it removed") from None
    return found


def _of_whole(identity: Mapping[str, Any]) -> dict[str, Any]:
    """What tells a whole file from others: in how many parts it was made does not."""
    return {name: value for name, value in identity.items() if name != "part_size"}


def _plain(identity: Mapping[str, Any]) -> dict[str, Any]:
    """As it comes back from JSON, without secrets, as records are written."""
    plain: dict[str, Any] = json.loads(to_json(identity))
    return plain


def _differing(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    plain = _plain(ours)
    names = [name.replace("_", " ") for name in plain if theirs.get(name) != plain[name]]
    return f"with other {' and '.join(names)}"
