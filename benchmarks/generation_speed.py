"""Answering by generation: ours beside transformers' `generate` as it is mostly called.

    python benchmarks/generation_speed.py [--questions 16] [--rounds 3] [--threads 2]

A Llama of about 20 M parameters with a 32k vocabulary answers prompts of about 150 tokens, of which
110 are the same for all, greedily and in 250 to 450 tokens. It is untrained; so that it ends where
a trained one would, its last token alone decides how many are still to come, and its logits choose
among 32 tokens for each of them. `reference` is left-padded `generate` to `max_new_tokens` without
an end; `generate` ends its batch when all rows have closed their answer; `ours` is the engine of
the student. All ways run in turn; the ratios are those within a round, and the texts must be equal.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, PreTrainedModel

from synthpert import bases
from synthpert.generation import Completion, Decoding, HFEngine
from synthpert.generation.sampling import chooser
from synthpert.generation.token_by_token import left_padded
from synthpert.layouts import choose
from synthpert.scratch import Scratch, make_base

FIRST, CHOICES, AGAIN = 1000, 32, 400
STOP = "</answer>"


def main() -> None:
    """Measure the ways in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=16)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--max-new-tokens", type=int, default=1024)
    parser.add_argument("--shortest", type=int, default=250)
    parser.add_argument("--longest", type=int, default=450)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "base"
        size = Scratch(320, 8, 5, 864, max_positions=2048)
        make_base(base, size, Counter([f" w{i}" for i in range(32_000)] + [STOP]))
        ways, prompts = prepare(str(base), options)
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    texts = {}
    for number in range(options.rounds):
        for name in [*ways][number % 3 :] + [*ways][: number % 3]:
            wall, cpu = time.perf_counter(), time.process_time()
            texts[name] = [each.ids for each in ways[name](prompts)]
            took[name].append((time.perf_counter() - wall, time.process_time() - cpu))
            print(name, took[name][-1], flush=True)
    assert texts["reference"] == texts["generate"] == texts["ours"], "texts differ"
    lengths = [len(text) for text in texts["ours"]]
    print(f"\n{len(prompts)} texts of {min(lengths)} to {max(lengths)} tokens, all the same\n")
    print("| way | seconds | ours is faster by | by CPU time |\n|---|---|---|---|")
    for name, rounds in took.items():
        cells = [f"{statistics.median(wall for wall, _ in rounds):.1f}"]
        for part in (0, 1):
            ratios = [a[part] / b[part] for a, b in zip(rounds, took["ours"], strict=True)]
            middle = statistics.median(ratios)
            cells.append(f"{middle:.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        print(f"| {name} | {' | '.join(cells)} |")


Way = Callable[[list[list[int]]], list[Completion]]


def prepare(base: str, options: argparse.Namespace) -> tuple[dict[str, Way], list[list[int]]]:
    """The three ways of answering on the same model, and the prompts."""
    tokenizer = bases.load_tokenizer(base)
    model: Any = bases.load_network(base, "float32", None, None, torch.device("cpu"))
    choose(model, "auto")
    close = tokenizer.convert_tokens_to_ids(STOP)
    model.register_forward_hook(Steer(close), with_kwargs=True)
    pad, decode = tokenizer.pad_token_id, tokenizer.decode
    engine = HFEngine(model, pad, tokenizer.eos_token_id, decode)
    decoding = Decoding(options.max_new_tokens, batch_size=options.batch)
    draw = random.Random(0)
    shared = [draw.randrange(20_000, 32_000) for _ in range(110)]
    prompts = []
    for _ in range(options.questions):
        own = [draw.randrange(20_000, 32_000) for _ in range(draw.randint(20, 60))]
        length = draw.randint(options.shortest, options.longest)
        prompts.append([*shared, *own, FIRST + (length - 1) * CHOICES])

    def reference(asked: list[list[int]]) -> list[Completion]:
        found = []
        for start in range(0, len(asked), options.batch):
            rows = endless(model, asked[start : start + options.batch], pad, decoding)
            found += [Completion(row[: row.index(close) + 1], "stop") for row in rows]
        return found

    def generate(asked: list[list[int]]) -> list[Completion]:
        found: list[Completion] = []
        with torch.no_grad():
            for start in range(0, len(asked), options.batch):
                part = asked[start : start + options.batch]
                choose = chooser(decoding, part, 0)
                found += engine._generate(list(part), decoding.max_new_tokens, choose, STOP)
        return found

    def ours(asked: list[list[int]]) -> list[Completion]:
        return engine.complete(asked, decoding, STOP, 0)

    return {"reference": reference, "generate": generate, "ours": ours}, prompts


@torch.no_grad()
def endless(
    model: PreTrainedModel, prompts: list[list[int]], pad: int, decoding: Decoding
) -> list[list[int]]:
    """Left-padded `generate` that nothing ends but the number of tokens."""
    ids, mask = left_padded(prompts, pad)
    count = decoding.max_new_tokens
    config = GenerationConfig(max_new_tokens=count, do_sample=False, pad_token_id=pad)
    caller: Any = model
    out: Tensor = caller.generate(input_ids=ids, attention_mask=mask, generation_config=config)
    return out[:, ids.shape[1] :].tolist()


class Steer:
    """Leaves a model's logits those of the tokens that say how many more are to come.

    Args:
        close: The token that ends an answer.
    """

    def __init__(self, close: int) -> None:
        self.close = close

    def __call__(self, module: nn.Module, args: object, named: dict[str, Any], out: Any) -> None:  # noqa: ANN401 - the hook's own type
        """Mask the logits of the last position, by the last id read."""
        last, logits = named["input_ids"][:, -1], out.logits[:, -1]
        to_come = torch.div(last - FIRST, CHOICES, rounding_mode="floor")
        to_come[last == self.close] = AGAIN
        low = (FIRST + (to_come - 1) * CHOICES)[:, None]
        place = torch.arange(logits.shape[-1])
        inside = (place >= low) & (place < low + CHOICES) & (to_come > 0)[:, None]
        inside[:, self.close] |= to_come == 0
        logits.masked_fill_(~inside, -torch.inf)


if __name__ == "__main__":
    main()
