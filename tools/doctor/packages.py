"""Installed packages: against the pins, against what is required, and where ours came from."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from synthpert import __version__
from tools.doctor.finding import Finding

HOME: Final = Path(__file__).resolve().parents[2]
OURS: Final = ("synthpert", "callbacks", "data_modules", "tools")
MALICIOUS: Final = {
    "lightning": ("2.6.2", "2.6.3"),
    "pytorch-lightning": ("2.6.2", "2.6.3"),
    "litellm": ("1.82.7", "1.82.8"),
}
"""Releases that steal credentials, by package."""
_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)$")
_FOR_DEVELOPERS: Final = ("dev", "docs")
_SHOWN: Final = 4


def malicious(installed: dict[str, str] | None = None) -> Finding:
    """Whether a release that steals credentials is installed.

    Args:
        installed: Versions by package; those of this environment if None.
    """
    here = versions(MALICIOUS) if installed is None else installed
    bad = [f"{name} {here[name]}" for name in MALICIOUS if here.get(name) in MALICIOUS[name]]
    if bad:
        remedy = "uninstall it, and change every key this machine knew"
        return Finding("malicious releases", "fail", ", ".join(bad), remedy)
    return Finding("malicious releases", "ok", "none")


def versions(names: Iterable[str]) -> dict[str, str]:
    """The versions of those of some packages that are installed.

    Args:
        names: Their names.
    """
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def required() -> Finding:
    """Whether what SynthPert cannot do without is installed, in versions that it takes."""
    wrong = []
    for needed in _requirements():
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        here = versions([needed.name]).get(needed.name)
        if here is None or not needed.specifier.contains(here.split("+")[0], prereleases=True):
            wrong.append(f"{needed.name} {here or 'missing'} (needs {needed.specifier or 'any'})")
    if wrong:
        return Finding("required packages", "fail", _listed(wrong), "pip install synthpert")
    return Finding("required packages", "ok", f"all of synthpert {__version__}")


def pins(file: Path = HOME / "constraints.txt") -> Finding:
    """How the installed versions differ from those that the project is tested with.

    Args:
        file: The pins; a checkout has them, an installed wheel has not.
    """
    if not file.is_file():
        return Finding("tested versions", "ok", "no constraints.txt here to compare with")
    found = [_PIN.match(line) for line in file.read_text(encoding="utf-8").splitlines()]
    tested = {str(canonicalize_name(match[1])): match[2] for match in found if match}
    direct = {str(canonicalize_name(each.name)) for each in _requirements()} & set(tested)
    here = versions(sorted(direct))
    differ = [
        f"{name} {here[name]} (tested {tested[name]})"
        for name in here
        if here[name].split("+")[0] != tested[name]
    ]
    if differ:
        remedy = "pip install -c constraints.txt synthpert"
        return Finding("tested versions", "warn", _listed(differ), remedy)
    return Finding("tested versions", "ok", f"{len(here)} packages as pinned")


def extras() -> Finding:
    """Which extras are installed whole."""
    named: dict[str, bool] = {}
    for needed in _requirements():
        for extra in re.findall(r"extra == ['\"]([\w-]+)['\"]", str(needed.marker or "")):
            named[extra] = named.get(extra, True) and bool(versions([needed.name]))
    shown = {name: there for name, there in named.items() if name not in _FOR_DEVELOPERS}
    there = [name for name, whole in shown.items() if whole]
    gone = [name for name, whole in shown.items() if not whole]
    remedy = f"where needed: pip install 'synthpert[{gone[0]}]'" if gone else ""
    found = f"installed: {', '.join(there) or 'none'}; not: {', '.join(gone) or 'none'}"
    return Finding("extras", "ok", found, remedy)


def homes() -> list[Finding]:
    """Where each of our packages is imported from; another folder of its name hides it."""
    found = []
    for name in OURS:
        spec = importlib.util.find_spec(name)
        places = [*(spec.submodule_search_locations or ())] if spec is not None else []
        place = Path(places[0]).resolve() if places else None
        if place == HOME / name:
            continue
        remedy = "use the command `synthpert`, or start from another folder"
        found.append(Finding(f"package {name}", "fail", str(place or "not found"), remedy))
    return found or [Finding("our packages", "ok", f"all four from {HOME}")]


def _requirements() -> list[Requirement]:
    """What SynthPert asks for, extras included; none where it is run without being installed."""
    try:
        return [Requirement(text) for text in metadata.requires("synthpert") or []]
    except metadata.PackageNotFoundError:
        return []


def _listed(texts: list[str]) -> str:
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more
