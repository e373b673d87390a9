"""The rules of the house, held by reading the source. Each names the offending file and line."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from repository import ROOT, repository_files

PACKAGES = ("synthpert", "callbacks", "data_modules", "tools")
LONGEST_FILE = 300
LIGHTNING = ("lightning", "pytorch_lightning")
MAY_IMPORT_LIGHTNING = (
    "synthpert/student.py",
    "synthpert/checkpoints/plugin.py",
    "synthpert/cli.py",
    "synthpert/saving.py",
    "synthpert/sharding.py",
    "synthpert/stopping.py",
    "synthpert/watching.py",
)
MAY_IMPORT_WANDB_LAZILY = ("synthpert/cli.py",)
NO_NAMES = {"util", "utils", "helper", "helpers", "common", "base", "misc"}
MACHINE_PATH = re.compile(r"/(?:work|root|opt|home/\w+|Users/\w+)/|this\sworkplace")
REGISTRY_HOST = re.compile(
    r"(?:pypi|pythonhosted|anaconda|npmjs)\.(?:org|com)|download\.pytorch\.org|pypi\.nvidia"
)
PLACEHOLDER = re.compile(
    r"\b(?:TODO|FIXME|XXX|HACK|NotImplementedError)\b"
    r"|(?i:\b(?:lorem ipsum|coming soon|placeholder|not (?:yet )?implemented|stub|dummy|for now)\b)"
)

Function = ast.FunctionDef | ast.AsyncFunctionDef
Rule = Callable[[Path], Iterator[str]]


class Source(NamedTuple):
    """One Python file: its path from the top as text, its dotted name and its syntax tree."""

    path: str
    module: str
    tree: ast.Module


class Import(NamedTuple):
    """One imported name: `from a import b` gives `a` and `a.b`."""

    line: int
    name: str
    for_types: bool


# --- reading -------------------------------------------------------------------------------


@functools.cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def sources(root: Path, *folders: str) -> list[Source]:
    found = []
    for folder in folders or PACKAGES:
        for path in sorted((root / folder).rglob("*.py")):
            inside = path.relative_to(root)
            parts = inside.with_suffix("").parts
            module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found.append(Source(inside.as_posix(), module, parse(path)))
    return found


def imports(source: Source) -> Iterator[Import]:
    """Every import, lazy ones too, and `import_module` of a literal name."""
    for_types = {
        id(child)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.walk(node)
    }
    for node in ast.walk(source.tree):
        for name in imported_names(node, source):
            yield Import(node.lineno, name, id(node) in for_types)  # type: ignore[attr-defined]


def imported_names(node: ast.AST, source: Source) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        origin = node.module or ""
        if node.level:
            is_package = source.path.endswith("__init__.py")
            parts = source.module.split(".")
            above = parts[: len(parts) - node.level + is_package]
            origin = ".".join([*above, *filter(None, [node.module])])
        return [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
        return [arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)]
    return []


def top(name: str) -> str:
    return name.split(".")[0]


def definitions(
    node: ast.AST, above: tuple[ast.AST, ...] = ()
) -> Iterator[tuple[Function | ast.ClassDef, tuple[ast.AST, ...]]]:
    """Every function and class with what it stands in, outermost first."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef):
            yield child, above
            yield from definitions(child, (*above, child))
        else:
            yield from definitions(child, above)


def decorators(node: Function | ast.ClassDef) -> str:
    return " ".join(ast.unparse(decorator) for decorator in node.decorator_list)


def is_protocol(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef) and any("Protocol" in ast.unparse(b) for b in node.bases)


def text_lines(root: Path) -> Iterator[tuple[str, int, str]]:
    """Path, number and text of every line of every text file of the repository."""
    for path in repository_files(root):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            yield path.relative_to(root).as_posix(), number, line


# --- the rules: each yields what offends -----------------------------------------------------


def siblings_never_import_one_another(root: Path) -> Iterator[str]:
    for source in sources(root):
        allowed = {"synthpert", top(source.module)}
        for imported in imports(source):
            if top(imported.name) in PACKAGES and top(imported.name) not in allowed:
                yield f"{source.path}:{imported.line}: imports {imported.name}"


def litellm_is_imported_in_one_file_of_tools(root: Path) -> Iterator[str]:
    users = {s.path: i.line for s in sources(root) for i in imports(s) if top(i.name) == "litellm"}
    if len(users) != 1 or not next(iter(users)).startswith("tools/"):
        yield "litellm is imported in " + (
            ", ".join(f"{path}:{line}" for path, line in users.items()) or "no file"
        )


def lightning_stays_above_the_student(root: Path) -> Iterator[str]:
    for source in sources(root, "synthpert", "tools"):
        if source.path not in MAY_IMPORT_LIGHTNING:
            for imported in imports(source):
                if top(imported.name) in LIGHTNING:
                    yield f"{source.path}:{imported.line}: imports {imported.name}"


def wandb_is_reached_through_the_logger(root: Path) -> Iterator[str]:
    for source in sources(root):
        eager = {id(node) for node in source.tree.body}
        for node in ast.walk(source.tree):
            lazy = source.path in MAY_IMPORT_WANDB_LAZILY and id(node) not in eager
            if "wandb" in map(top, imported_names(node, source)) and not lazy:
                yield f"{source.path}:{node.lineno}: imports wandb"  # type: ignore[attr-defined]


def imports_go_round_in_no_circle(root: Path) -> Iterator[str]:
    files = {source.module: source for source in sources(root)}
    needs = {
        module: {
            imported.name
            for imported in imports(source)
            if imported.name in files and imported.name != module and not imported.for_types
        }
        for module, source in files.items()
    }
    # `from package import module` needs the module, not what else the package's own file says.
    for module, names in needs.items():
        needs[module] = {n for n in names if not any(other.startswith(n + ".") for other in names)}
    done: set[str] = set()

    def walk(module: str, trail: list[str]) -> Iterator[str]:
        if module in trail:
            circle = [*trail[trail.index(module) :], module]
            yield f"{files[module].path}:1: " + " -> ".join(circle)
        elif module not in done:
            for need in sorted(needs[module]):
                yield from walk(need, [*trail, module])
            done.add(module)

    for module in files:
        yield from walk(module, [])


def every_module_has_a_docstring(root: Path) -> Iterator[str]:
    for source in sources(root):
        if not ast.get_docstring(source.tree):
            yield f"{source.path}:1: no module docstring"


def everything_public_has_a_docstring(root: Path) -> Iterator[str]:
    for source in sources(root):
        for node, above in definitions(source.tree):
            private = any(
                getattr(n, "name", "").startswith("_") or not isinstance(n, ast.ClassDef)
                for n in above
            )
            exempt = node.name.startswith("_") or re.search(r"overload|\.setter", decorators(node))
            if not (private or exempt or ast.get_docstring(node)):
                yield f"{source.path}:{node.lineno}: {node.name} has no docstring"


def every_function_is_typed(root: Path) -> Iterator[str]:
    for source in sources(root):
        for node, above in definitions(source.tree):
            if isinstance(node, ast.ClassDef):
                continue
            arguments = [*node.args.posonlyargs, *node.args.args]
            if above and isinstance(above[-1], ast.ClassDef) and "static" not in decorators(node):
                arguments = arguments[1:]
            arguments += node.args.kwonlyargs
            arguments += [a for a in (node.args.vararg, node.args.kwarg) if a is not None]
            bare = [argument.arg for argument in arguments if argument.annotation is None]
            if bare or node.returns is None:
                yield f"{source.path}:{node.lineno}: {node.name} lacks types ({bare or 'return'})"


def no_function_is_empty(root: Path) -> Iterator[str]:
    for source in sources(root):
        for node, above in definitions(source.tree):
            if isinstance(node, ast.ClassDef) or any(map(is_protocol, above)):
                continue
            says_nothing = all(
                isinstance(line, ast.Pass)
                or (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
                for line in node.body
            )
            if says_nothing and not re.search("overload|abstractmethod", decorators(node)):
                yield f"{source.path}:{node.lineno}: {node.name} does nothing"


def nothing_prints_or_evaluates(root: Path) -> Iterator[str]:
    for source in sources(root):
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "eval", "exec"):
                yield f"{source.path}:{node.lineno}: calls {ast.unparse(node.func)}"


def no_except_is_broad(root: Path) -> Iterator[str]:
    for source in sources(root):
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.ExceptHandler):
                continue
            caught = ast.unparse(node.type) if node.type else "BaseException"
            last = node.body[-1]
            reraises = isinstance(last, ast.Raise) and last.exc is None
            if re.search(r"\bException\b", caught) or (
                re.search(r"\bBaseException\b", caught) and not reraises
            ):
                yield f"{source.path}:{node.lineno}: except {caught}"


def nothing_runs_foreign_code(root: Path) -> Iterator[str]:
    forbidden = {"trust_remote_code": True, "weights_only": False}
    for source in sources(root):
        for node in ast.walk(source.tree):
            if isinstance(node, ast.keyword) and isinstance(node.value, ast.Constant):
                if forbidden.get(node.arg or "", ...) == node.value.value:
                    yield f"{source.path}:{node.lineno}: {ast.unparse(node)}"
    for path, number, line in text_lines(root):
        if path.startswith("configs/") and re.search(
            r"(?i)trust_remote_code:\s*true|weights_only:\s*false", line
        ):
            yield f"{path}:{number}: {line.strip()}"


def file_names_say_what_is_inside(root: Path) -> Iterator[str]:
    for path in repository_files(root):
        inside = path.relative_to(root)
        for part in (*inside.parts[:-1], inside.stem):
            if part.lower() in NO_NAMES or re.search(r"(?:^|_)v\d+$", part):
                yield f"{inside}:1: {part!r} says nothing"


def files_read_in_one_sitting(root: Path) -> Iterator[str]:
    for source in sources(root):
        lines = len((root / source.path).read_text(encoding="utf-8").splitlines())
        if lines > LONGEST_FILE:
            yield f"{source.path}:{lines}: longer than {LONGEST_FILE} lines"


def every_module_has_a_test_that_imports_it(root: Path) -> Iterator[str]:
    tested = {i.name for source in sources(root, "tests") for i in imports(source)}
    for source in sources(root):
        has_code = any(not isinstance(line, ast.Expr | ast.Assign) for line in source.tree.body)
        if has_code and source.module not in tested:
            yield f"{source.path}:1: no test imports {source.module}"


def no_text_names_a_machine(root: Path) -> Iterator[str]:
    for path, number, line in text_lines(root):
        if MACHINE_PATH.search(line):
            yield f"{path}:{number}: {line.strip()[:80]}"


def no_text_names_a_package_registry(root: Path) -> Iterator[str]:
    for path, number, line in text_lines(root):
        if REGISTRY_HOST.search(line):
            yield f"{path}:{number}: {line.strip()[:80]}"


def nothing_is_left_for_later(root: Path) -> Iterator[str]:
    for path, number, line in text_lines(root):
        if not path.startswith("tests/") and PLACEHOLDER.search(line):
            yield f"{path}:{number}: {line.strip()[:80]}"


# --- each rule with a tree that breaks it ----------------------------------------------------

BREACHES: list[tuple[Rule, dict[str, str]]] = [
    (siblings_never_import_one_another, {"callbacks/a.py": "from tools import score"}),
    (siblings_never_import_one_another, {"synthpert/a.py": "def f():\n import callbacks.a"}),
    (
        siblings_never_import_one_another,
        {"synthpert/a.py": "import importlib\nimportlib.import_module('tools.score')"},
    ),
    (
        litellm_is_imported_in_one_file_of_tools,
        {"tools/a.py": "import litellm", "tools/b.py": "from litellm import completion"},
    ),
    (litellm_is_imported_in_one_file_of_tools, {"callbacks/a.py": "import litellm"}),
    (lightning_stays_above_the_student, {"synthpert/losses.py": "import lightning.pytorch"}),
    (lightning_stays_above_the_student, {"tools/score.py": "from lightning import Trainer"}),
    (wandb_is_reached_through_the_logger, {"callbacks/a.py": "def f():\n import wandb"}),
    (wandb_is_reached_through_the_logger, {"synthpert/cli.py": "import wandb"}),
    (
        imports_go_round_in_no_circle,
        {"tools/a.py": "from tools import b", "tools/b.py": "def f():\n from tools.a import x"},
    ),
    (
        imports_go_round_in_no_circle,
        {"tools/t/a.py": "from . import b", "tools/t/b.py": "from .a import x"},
    ),
    (every_module_has_a_docstring, {"tools/a.py": "x = 1"}),
    (everything_public_has_a_docstring, {"tools/a.py": "class A:\n def f(self): return 1"}),
    (every_function_is_typed, {"tools/a.py": "def f(x) -> int: return x"}),
    (every_function_is_typed, {"tools/a.py": "class A:\n def f(self, *, x: int): return x"}),
    (no_function_is_empty, {"tools/a.py": "def f() -> None:\n '''Does much.'''"}),
    (no_function_is_empty, {"tools/a.py": "def f() -> None: ..."}),
    (nothing_prints_or_evaluates, {"tools/a.py": "print('hello')"}),
    (nothing_prints_or_evaluates, {"tools/a.py": "x = eval('1')"}),
    (no_except_is_broad, {"tools/a.py": "try: x = 1\nexcept (OSError, Exception): raise"}),
    (no_except_is_broad, {"tools/a.py": "try: x = 1\nexcept: x = 2"}),
    (nothing_runs_foreign_code, {"tools/a.py": "f(trust_remote_code=True)"}),
    (nothing_runs_foreign_code, {"tools/a.py": "f(weights_only=False)"}),
    (nothing_runs_foreign_code, {"configs/a.yaml": "trust_remote_code: true"}),
    (file_names_say_what_is_inside, {"tools/utils.py": "x = 1"}),
    (file_names_say_what_is_inside, {"configs/paper_v2.yaml": "x: 1"}),
    (files_read_in_one_sitting, {"tools/a.py": "x = 1\n" * (LONGEST_FILE + 1)}),
    (every_module_has_a_test_that_imports_it, {"tools/a.py": "def f() -> int: return 1"}),
    (no_text_names_a_machine, {"docs/a.md": "see /" + "home/ada/data"}),
    (no_text_names_a_package_registry, {"Makefile": "pip install -i https://py" + "pi.org/simple"}),
    (nothing_is_left_for_later, {"tools/a.py": "# TO" + "DO: finish"}),
]
RULES = list(dict.fromkeys(rule for rule, _ in BREACHES))

KEPT = {
    "synthpert/questions/__init__.py": '"""Questions."""\n',
    "tools/score.py": '''"""Scores."""
from __future__ import annotations

from typing import Protocol

import litellm
from synthpert import questions


class Engine(Protocol):
    """What answers."""

    def answer(self, text: str) -> str:
        """Answer."""


def score(model: Engine) -> str:
    """Score."""
    try:
        model.eval()
        return model.answer(questions.__name__)
    except OSError:
        return litellm.__name__
''',
    "tests/test_score.py": "from tools import score\n",
}


def plant(tree: dict[str, str], folder: Path) -> Path:
    for name, text in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_the_rule(rule: Rule) -> None:
    offences = list(rule(ROOT))
    assert not offences, "\n" + "\n".join(offences)


@pytest.mark.parametrize(
    ("rule", "tree"), BREACHES, ids=lambda value: getattr(value, "__name__", "")
)
def test_the_rule_sees_a_breach(rule: Rule, tree: dict[str, str], tmp_path: Path) -> None:
    assert list(rule(plant(tree, tmp_path)))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_rule_leaves_a_good_house_alone(rule: Rule, tmp_path: Path) -> None:
    assert list(rule(plant(KEPT, tmp_path))) == []
