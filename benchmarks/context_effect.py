"""Does evidence in the prompt help? The same small student with and without it, on the test split.

    python benchmarks/context_effect.py --data data/perturbqa --knowledge data/knowledge

Random genes of PerturbQA with all their rows, bare answers, a model of 1 to 2 M parameters made
from nothing, one seed: what comes out is a small experiment, not a verdict on 8B models. About 15
minutes on two cores.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import yaml

ROOT = Path(__file__).resolve().parent.parent
WAYS = {"plain": ("short", 256), "context": ("short_context", 512)}


def write_genes(data: Path, out: Path, count: int, seed: int) -> None:
    """Copy the rows of some genes, drawn from all cell lines together."""
    tables = {path.name: pl.read_csv(path) for path in sorted(data.glob("*-d*.csv"))}
    tables = {name: table for name, table in tables.items() if "_set" not in name}
    genes = pl.concat([table["gene"] for table in tables.values()]).unique().sort()
    drawn = genes.sample(count, seed=seed, shuffle=True)
    out.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.filter(pl.col("gene").is_in(drawn.implode())).write_csv(out / name)


def write_recipe(path: Path, seed: int) -> None:
    """The demonstration's recipe, on raw tuples instead of traces."""
    recipe = yaml.safe_load((ROOT / "configs" / "tiny.yaml").read_text())
    recipe["seed_everything"] = seed
    recipe["data"] = {
        "class_path": "data_modules.tuples.TupleDataModule",
        "init_args": {"batch_size": 32, "eval_batch_size": 256, "validation_share": 0.05},
    }
    recipe["model"]["decoding"]["max_new_tokens"] = 12
    recipe["model"]["scratch"]["opens_thought"] = False
    path.write_text(yaml.safe_dump(recipe))


def main() -> None:
    """Fit, test and score both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--knowledge", type=Path, required=True)
    parser.add_argument("--folder", type=Path, default=Path("runs/context-effect"))
    parser.add_argument("--genes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    data, recipe = asked.folder / "data", asked.folder / "recipe.yaml"
    write_genes(asked.data, data, asked.genes, asked.seed)
    write_recipe(recipe, asked.seed)
    environment = os.environ | {"SYNTHPERT_KNOWLEDGE": str(asked.knowledge), "OMP_NUM_THREADS": "1"}

    def synthpert(*words: object) -> None:
        command = [sys.executable, "-m", "synthpert", *map(str, words)]
        subprocess.run(command, check=True, env=environment)

    for name, (prompts, tokens) in WAYS.items():
        run = asked.folder / name
        how = ["--config", recipe, "--run", run, "--model.base", run / "base"]
        how += ["--model.prompts", prompts, "--model.max_tokens", tokens]
        how += ["--model.scratch.max_positions", tokens, "--data.init_args.data", data]
        how += ["--watch.mode", "disabled"]
        synthpert("fit", *how)
        synthpert("test", *how, "--ckpt_path", "last")
    files = [asked.folder / name / "predictions.parquet" for name in WAYS]
    prior = asked.folder / "gene-prior.parquet"
    synthpert("baseline", "gene-prior", "--data", data, "--out", prior)
    synthpert("score", *files, prior, "--data", data, "--json", asked.folder / "score.json")


if __name__ == "__main__":
    main()
