"""The 40 malformed inputs, in the order in which they were asked for, and what is said of each."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import malformed_making as making

FILES: Final = Path(__file__).parent / "files"
RUN: Final = ("--run", "{lab}/run", "--ckpt_path", "last")
PREDICT: Final = ("predict", "--config", "{lab}/recipe.yaml", *RUN, "--data.init_args.questions")
SCORE: Final = ("score",)
TRACES: Final = ("fit", "--config", "{lab}/traces.yaml", "--run", "a", "--data.init_args.traces")
CHATS: Final = ("fit", "--config", "{lab}/chats.yaml", "--run", "a", "--data.init_args.mix.file")
FIT: Final = ("fit", "--run", "a", "--config")


class Input(NamedTuple):
    """One malformed input.

    Args:
        number: Its place in the list.
        file: Its name, which is in the error unless `says` has the place.
        verb: The command that a person would give it to; the file follows.
        says: What the error must hold, the place first.
        make: How it is made where it is not one of `FILES`.
    """

    number: int
    file: str
    verb: tuple[str, ...]
    says: tuple[str, ...]
    make: Callable[[Path], None] | None = None

    @property
    def name(self) -> str:
        """For the test's name."""
        return Path(self.file).stem.split(".")[0]

    def put(self, folder: Path) -> Path:
        """Put it into a folder."""
        path = folder / self.file
        if self.make is None:
            shutil.copyfile(FILES / self.file, path)
        else:
            self.make(path)
        return path


INPUTS: Final = (
    Input(1, "01-empty-file.csv", PREDICT, ("csv: file is empty", "expected a header and rows")),
    Input(2, "02-header-only.csv", PREDICT, ("csv: table has no rows",)),
    Input(3, "03-missing-column.csv", PREDICT, ("csv:1:gene: column is missing", "got 'cell_line")),
    Input(3, "03-duplicate-column.csv", PREDICT, ("csv:1:gene: column stands twice",)),
    Input(3, "03-extra-column.csv", PREDICT, ("csv:2: ragged row (got '3 values'; expected 4",)),
    Input(4, "04-wrong-delimiter.csv", PREDICT, ("csv:1: wrong delimiter (got 'semicolons'",)),
    Input(5, "05-ragged-row.csv", PREDICT, ("csv:3: ragged row (got '2 values'; expected 3",)),
    Input(6, "06-unclosed-quote.csv", PREDICT, ("csv:3: broken quoting",)),
    Input(7, "07-nul.csv", PREDICT, ("csv:3:gene: NUL byte (expected text)",), making.nul),
    Input(
        9, "09-utf-16.csv", PREDICT, ("csv:1: UTF-16 text (expected UTF-8: save",), making.utf_16
    ),
    Input(
        10,
        "10-latin-1.csv",
        PREDICT,
        ("csv:2:note: not UTF-8 text (got b'\\xfc'; expected UTF-8",),
        making.latin_1,
    ),
    Input(12, "12-10-mb-cell.csv", PREDICT, ("csv:2:gene: ", "got 'ACGT"), making.ten_megabytes),
    Input(13, "13-empty-gene.csv", PREDICT, ("csv:3:gene: gene is empty", "expected a name")),
    Input(13, "13-blank-gene.csv", PREDICT, ("csv:3:gene: gene is empty", "expected a name")),
    Input(
        14,
        "14-gene-turned-into-a-date.csv",
        PREDICT,
        ("csv:3:gene: gene turned into a date by a spreadsheet (got '1-Mar'", "MARCHF1"),
    ),
    Input(
        15,
        "15-lower-case-symbol.csv",
        PREDICT,
        ("csv:3:gene: lower case", "got 'actg1'; expected ACTG1"),
    ),
    Input(16, "16-ensembl-id.csv", PREDICT, ("csv:3:gene: Ensembl id", "a gene symbol")),
    Input(17, "17-duplicate-row.csv", PREDICT, ("csv:4:gene: pair repeats row 2", "once")),
    Input(18, "18-contradictory-pair.csv", PREDICT, ("csv:3:gene: pair contradicts row 2",)),
    Input(
        19, "19-label-out-of-set.csv", PREDICT, ("csv:3:label: unknown label (got 'up'", "upreg")
    ),
    Input(
        20, "20-nan.csv", SCORE, ("csv:2:p_not_de: not a probability (got nan; expected 0 to 1",)
    ),
    Input(21, "21-inf.csv", SCORE, ("csv:2:p_down: not a probability (got inf; expected 0 to 1",)),
    Input(
        22, "22-number-as-text.csv", SCORE, ("csv:2:p_not_de: wrong value (got '0,9'", "a number")
    ),
    Input(
        23,
        "23-train-test-leak.jsonl",
        TRACES,
        ("jsonl: 1 of 2 traces are of test pert", "CENPK", "drop"),
    ),
    Input(
        24,
        "24-unknown-cell-line.jsonl",
        TRACES,
        ("jsonl:cell_line: traces of an unknown cell line (got 'HeLa'; expected one of k562",),
    ),
    Input(25, "25-bad-line.jsonl", TRACES, ("jsonl:2: not JSON: Expecting value at character",)),
    Input(26, "26-arrays.jsonl", CHATS, ("jsonl:1: not an object but an array (expected one",)),
    Input(26, "26-one-array.jsonl", TRACES, ("jsonl:1: not JSON", "expected one object a line")),
    Input(27, "27-duplicate-key.jsonl", TRACES, ("jsonl:1:label: key stands twice (expected",)),
    Input(28, "28-deep.jsonl", CHATS, ("jsonl:1: nested more than 100 deep",), making.deep_json),
    Input(
        29,
        "29-truncated.csv.gz",
        PREDICT,
        ("csv.gz: gzip file is truncated",),
        making.truncated_gzip,
    ),
    Input(
        30, "30-directory.csv", PREDICT, ("csv: is a folder (expected a file)",), making.directory
    ),
    Input(31, "31-missing.csv", PREDICT, ("csv: no such file",), making.missing),
    Input(32, "32-no-permission.csv", SCORE, ("csv: cannot be read: Perm",), making.no_permission),
    Input(
        33,
        "33-broken-link.csv",
        PREDICT,
        ("csv: the link leads nowhere (got '", "unmounted", "expected a file"),
        making.broken_link,
    ),
    Input(
        34,
        "34-misspelt-key.yaml",
        FIT,
        ("model.learnign_rate: unknown key", "did you mean 'learning_rate'"),
        making.misspelt_key,
    ),
    Input(
        35,
        "35-wrong-type.yaml",
        FIT,
        ("data.init_args.batch_size: wrong value (got 'eight'; expected int",),
        making.wrong_type,
    ),
    Input(36, "36-broken.yaml", FIT, ("yaml:", "this is no YAML"), making.broken_yaml),
    Input(
        37,
        "37-another-base",
        ("test", "--config", "{lab}/recipe.yaml", *RUN, "--model.scratch=null", "--model.base"),
        ("ckpt_path:base: the checkpoint is of another student", "config.yaml"),
        making.another_base,
    ),
    Input(
        38,
        "38-another-prompt-set.yaml",
        ("fit", "--config", "{lab}/recipe.yaml", *RUN, "--model.scratch=null", "--model.prompts"),
        ("ckpt_path:prompt_id: the checkpoint is of another student", "config.yaml"),
    ),
    Input(
        39,
        "39-unknown-questions.csv",
        SCORE,
        ("csv:2: not a question of this split's test set (got 'k562, NOSUCH, ADARB1'",),
    ),
    Input(
        40, "40-sum.csv", SCORE, ("csv:2:", "probabilities do not sum to 1 (got 1.5; expected 1")
    ),
)
ACCEPTED: Final = (
    Input(8, "08-byte-order-mark.csv", PREDICT, (), making.byte_order_mark),
    Input(11, "11-mixed-line-ends.csv", PREDICT, (), making.mixed_line_ends),
)
