"""A recipe of `fit`: its keys, then everything that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from synthpert.errors import InputError
from synthpert.shipped import shipped_folder
from tools.check.wellformed import build, parse

if TYPE_CHECKING:
    from tools.check.findings import Findings

# In place of what an overlay leaves open, or a faulty recipe lacks, so that the rest can be seen.
_BASE: Final = ("--model.base", "none")
_DATA: Final = ("--data", "data_modules.tuples.TupleDataModule")


def check_recipe(found: Findings, *, overlay: bool) -> None:
    """Check a recipe, or an overlay as far as it goes by itself.

    Args:
        found: Takes errors and facts.
        overlay: Whether neither base nor data is named.
    """
    import jsonargparse

    from synthpert.cli import cli
    from synthpert.importing import allow_imports
    from synthpert.watching import quieten

    quieten()
    with found.noting("import_from"):
        allow_imports(found.draft.flags)
    parser = jsonargparse.capture_parser(lambda: cli([], run=False))
    if overlay:
        _check_overlay(found, parser)
        return
    parsed = parse(found, parser, "check")
    # What is missing has been said.
    lacking = [*_lacking(found, "model.base", _BASE), *_lacking(found, "data", _DATA)]
    if parsed is None and lacking:
        parsed = parse(found, parser, "check", lacking)
    if parsed is None or (made := build(found, lacking)) is None:
        return
    from tools.check.base_named import check_base
    from tools.check.data_named import check_data
    from tools.check.room import check_room

    encoder = None
    if _BASE[0] not in lacking:
        encoder = check_base(found, made, parsed)
    if _DATA[0] not in lacking:
        check_data(found, made, encoder)
    check_room(found, made, parsed)


def _lacking(found: Findings, key: str, instead: tuple[str, str]) -> list[str]:
    written = "data.class_path" if key == "data" else key
    place = found.draft.find("data")
    named = key == "data" and place is not None and place.holds == "text"
    return [] if named or found.draft.says(written) or f"--{key}" in _flags(found) else [*instead]


def _flags(found: Findings) -> list[str]:
    return [word.partition("=")[0] for word in found.draft.flags]


def _check_overlay(found: Findings, parser: Any) -> None:  # noqa: ANN401 - of jsonargparse
    """Check the keys of an overlay over a recipe's, and say that it is no recipe."""
    home = shipped_folder().parent
    files = [file.resolve() for file in found.draft.files]
    ours = [file.relative_to(home) if file.is_relative_to(home) else file for file in files]
    shown = zip(found.draft.files, files, ours, strict=True)
    names = " ".join(str(own if own != full else given) for given, full, own in shown)
    last = found.draft.files[-1] if found.draft.files else "synthpert check"
    parse(found, parser, "check", [*_BASE, *_DATA])
    found.add(
        InputError(
            "an overlay, which is no recipe by itself",
            file=last,
            expected=f"synthpert check configs/NAME.yaml {names}",
        ),
        "",
    )
