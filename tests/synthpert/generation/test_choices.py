"""Scores of choices: those of whole sequences, whatever stands beside them."""

from __future__ import annotations

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from synthpert.generation.choices import score


def test_scores_do_not_depend_on_the_contexts_beside() -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=50, num_attention_heads=2, **sizes)).eval()
    contexts, choices = [[5, 6, 7, 8, 9], [10, 11]], [[[3], [4, 5, 6]]] * 2
    with torch.no_grad():
        together = score(model, contexts, choices, pad_id=0)
        apart = [score(model, [context], choices[:1], pad_id=0) for context in contexts]
    torch.testing.assert_close(together, torch.cat(apart), rtol=1e-5, atol=1e-5)
