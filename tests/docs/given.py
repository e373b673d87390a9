"""What a page takes for given: `PARTS` says how each thing is made, `NEEDS` which page gets what.

What a page makes itself is not given to it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from repository import ROOT
from tiny import r1_tokenizer

SAMPLE = ROOT / "synthpert" / "sample"
# Of the sample's 51: enough for every baseline, few enough for seconds.
PERTURBATIONS = 12
GENES = 60


@dataclass(frozen=True)
class Part:
    """A thing that a page takes for given.

    Args:
        reason: What the page says of it.
        script: The commands that make it.
        needs: Other parts, there before.
        python: A function that makes it, given the folder, before the commands.
    """

    reason: str
    script: str = ""
    needs: tuple[str, ...] = ()
    python: Callable[[Path], None] | None = None


def write_benchmark(folder: Path) -> None:
    """Some perturbations and genes of the sample, as the benchmark is laid out for download."""
    import polars as pl

    place = folder / "perturbqa" / "datasets"
    place.mkdir(parents=True)
    shutil.copy(SAMPLE / "LICENSE.txt", folder)
    tables = {path.name: pl.read_csv(path) for path in sorted(SAMPLE.glob("*-d*.csv"))}
    every = pl.concat(tables.values())
    kept = []
    for split in ("train", "test"):
        part = every.filter(split=split)
        perts = part.group_by("pert").len().sort("len", "pert", descending=True)["pert"]
        kept += perts.head(PERTURBATIONS // 2).to_list()
    genes = every.filter(pl.col("pert").is_in(kept)).group_by("gene").len()
    asked = genes.sort("len", "gene", descending=True)["gene"].head(GENES).to_list()
    for name, table in tables.items():
        few = table.filter(pl.col("pert").is_in(kept), pl.col("gene").is_in(asked))
        few.write_csv(place / name)


def copy_data(folder: Path) -> None:
    """`data/perturbqa` and `data/knowledge`."""
    home = folder.parents[1]
    shutil.copytree(home / "benchmark" / "perturbqa" / "datasets", folder / "data" / "perturbqa")
    shutil.copytree(SAMPLE / "knowledge", folder / "data" / "knowledge")


def write_r1(folder: Path) -> None:
    """A Llama of 16 dimensions with R1-distill's chat template, one id a byte."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = r1_tokenizer()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=8192,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def copy_tokenizer(folder: Path) -> None:
    """`path/to/tokenizer`."""
    r1_tokenizer().save_pretrained(folder / "path" / "to" / "tokenizer")


def write_expression(folder: Path) -> None:
    """`gears_k562.h5ad`, `gears_rpe1.h5ad` and `changes.csv`."""
    import anndata
    import numpy as np
    import polars as pl

    rng = np.random.default_rng(0)
    for line in ("k562", "rpe1"):
        table = pl.read_csv(folder / "data" / "perturbqa" / f"{line}-de.csv")
        genes = sorted(set(table["gene"]))
        perts = ["control", *sorted(set(table["pert"]))]
        values = rng.normal(1.0, 0.3, (len(perts), len(genes))).astype("float32")
        cells = {"obs": {"condition": perts}, "var": {"gene": genes}}
        made = anndata.AnnData(values, obs=cells["obs"])
        made.var_names = genes
        made.obs_names = [str(i) for i in range(len(perts))]
        made.write_h5ad(folder / f"gears_{line}.h5ad")
    change = pl.Series("change", rng.normal(size=table.height))
    table.select("pert", "gene").with_columns(change).write_csv(folder / "changes.csv")


def write_own_package(folder: Path) -> None:
    """`mylab` with a loss, and `mine.yaml` is the page's own."""
    package = folder / "mylab"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "losses.py").write_text(FOCAL, encoding="utf-8")


FOCAL = '''\
from torch import Tensor
from torch.nn.functional import cross_entropy

from synthpert.losses import Supervised, TokenLoss


class FocalLoss(TokenLoss):
    """Tokens that are known already count less (Lin et al. 2017)."""

    def __init__(self, gamma: float = 2.0) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, logits: Tensor, supervised: Supervised) -> Tensor:
        loss = cross_entropy(logits, supervised.targets, reduction="none")
        return loss * (1 - (-loss).exp()) ** self.gamma
'''


PARTS = {
    "data": Part("the benchmark and its knowledge, downloaded", python=copy_data),
    "traces": Part(
        "traces of the offline teacher, where the recipe looks for them",
        "synthpert traces make --config configs/traces.yaml --balance uniform",
        ("data",),
    ),
    "paid traces": Part(
        "a journal of paid replies",
        "synthpert traces make --config configs/traces_paper.yaml --budget 100",
        ("data",),
    ),
    "student": Part(
        "a trained student, runs/synthpert, that has answered the test questions",
        "synthpert fit --config configs/synthpert.yaml --run runs/synthpert\n"
        "synthpert test --config configs/synthpert.yaml --run runs/synthpert --ckpt_path last\n"
        "cp -r runs/synthpert runs/a",
        ("traces",),
    ),
    "demo": Part(
        "what `make demo` leaves",
        "synthpert traces make --config configs/traces.yaml --balance uniform "
        "--journal runs/demo/journal.sqlite --out runs/demo/traces.parquet\n"
        "synthpert fit --config configs/tiny.yaml --run runs/demo --model.base runs/demo/base "
        "--data.init_args.traces runs/demo/traces.parquet --ckpt_path last",
        ("data",),
    ),
    "small student": Part(
        "a trained student of configs/tiny.yaml, runs/tiny",
        "synthpert fit --config configs/tiny.yaml --run runs/tiny",
        ("traces",),
    ),
    "offline run": Part(
        "a run that Weights & Biases has not seen yet",
        "mkdir -p runs/hpc/wandb/offline-run-20261121_120000-abcdefgh",
    ),
    "tokenizer": Part("a folder with the base's tokenizer", python=copy_tokenizer),
    "predictions": Part(
        "prediction files of several systems",
        "synthpert baseline gene-prior --out predictions.parquet\n"
        "cp predictions.parquet a.parquet\n"
        "cp predictions.parquet frontier.parquet\n"
        "synthpert baseline majority --out b.csv\n"
        "for seed in 0 1 2; do\n"
        "  mkdir -p runs/seed$seed\n"
        "  cp predictions.parquet runs/seed$seed/\n"
        "done",
        ("data",),
    ),
    "thoughts": Part(
        "predictions with reasoning in them",
        "synthpert ask --model offline/knowledge --out predictions.parquet",
        ("data",),
    ),
    "expression": Part("predicted expression of other programs", "", ("data",), write_expression),
    "own package": Part("the reader's own loss and recipe", python=write_own_package),
}

NEEDS: dict[str, tuple[str, ...]] = {
    "README.md": ("demo", "own package"),
    "docs/ask.md": ("data", "student"),
    "docs/baselines.md": ("data",),
    "docs/check.md": ("data",),
    "docs/costs.md": ("data",),
    "docs/engines.md": ("student",),
    "docs/evaluation.md": ("predictions", "expression"),
    "docs/factuality.md": ("thoughts",),
    "docs/faq.md": ("student", "predictions"),
    "docs/hpc.md": ("traces", "offline run"),
    "docs/quick-start.md": ("demo",),
    "docs/recipes.md": ("data",),
    "docs/report.md": ("predictions",),
    "docs/screening.md": ("student", "small student"),
    "docs/serve.md": ("demo",),
    "docs/results.md": ("data",),
    "docs/traces.md": ("data",),
    "docs/training.md": ("student", "tokenizer"),
}
# Their commands end in an error, which nothing may be changed about.
AS_TYPED = ("docs/faq.md", "docs/security.md")
