"""The text of the model card: a Jinja template of Markdown under a YAML header."""

PAGE = """\
{% macro table(header, rows) -%}
| {{ header | join(" | ") }} |
|{{ " --- |" * (header | length) }}
{% for row in rows -%}
| {{ row | join(" | ") }} |
{% endfor -%}
{% endmacro -%}
---
{{ header }}---

# {{ title }}

{% if what == "adapter" -%}
LoRA adapters that teach {{ base }} to reason about what the knockdown of one gene does to another.
{%- elif lora -%}
{{ base }} with LoRA adapters merged in, that reasons about what the knockdown of one gene does to
another.
{%- else -%}
{{ base }}, fine-tuned, that reasons about what the knockdown of one gene does to another.
{%- endif %}
Made by SynthPert {{ versions["synthpert"] }} on {{ date }}. For research; what the model writes is
its own words, not a measurement, and no advice to patients.

## How to ask it

```python
from transformers import AutoModelForCausalLM, AutoTokenizer
{% if what == "adapter" -%}
from peft import PeftModel

tokenizer = AutoTokenizer.from_pretrained("THIS_FOLDER")
model = AutoModelForCausalLM.from_pretrained("{{ base }}", dtype="auto")
model = PeftModel.from_pretrained(model, "THIS_FOLDER").eval()
{%- else %}
tokenizer = AutoTokenizer.from_pretrained("THIS_FOLDER")
model = AutoModelForCausalLM.from_pretrained("THIS_FOLDER", dtype="auto").eval()
{%- endif %}
messages = {{ messages }}
prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
ids = tokenizer(prompt, add_special_tokens={{ special }}, return_tensors="pt")
out = model.generate(**ids, do_sample=False, max_new_tokens={{ new_tokens }})
```

Chat template: it renders the prompt only. An answer must never be sent through it as the
assistant's turn: that of DeepSeek-R1's models deletes what stands before `</think>`.
{% if opens_thought -%}
The prompt itself ends in `<think>`, so a completion starts inside the thought.
{%- else -%}
A completion starts with `<think>` where the model was trained on thoughts.
{%- endif %}
Prompts: `{{ prompts }}`, id `{{ prompt_id }}`; another wording is another question.

## Training

{{ table(("what", "how"), training) }}
## Data

{{ table(("what", "which"), data) }}
{% if checked -%}
## Merge

A copy was merged in float32 and cast to {{ checked.dtype }}. On {{ checked.prompts }} prompts of
the benchmark, all positions, its logits and those of the adapters on the base in float32 (the
largest {{ "%.3g" | format(checked.largest) }}) differ by at most
{{ "%.2e" | format(checked.merged) }} after the merge and by {{ "%.2e" | format(checked.written) }}
as written; the most probable next token is the same at
{{ "%.2f" | format(100 * checked.same_token) }} % of the positions.
{% if quantized %}It was trained on the base in 4 bits, whose rounding this model does not have.
{% endif %}
{% endif -%}
## Metrics

{% if scores -%}
{{ scored }}

{{ table(("figure", "value"), scores) }}
They are the run's own, by whichever of its checkpoints answered, adapters unmerged. The majority
class and a gene-frequency prior stand beside such figures in what `synthpert score` prints; without
them none means anything.

{% endif -%}
{% if logged -%}
Last values in `metrics.csv`:

{{ table(("metric", "step", "value"), logged) }}
{% endif -%}
{% if not scores and not logged -%}
None were found in the run's folder.
{% endif -%}
## Licence

Base: {{ base_licence }}

Questions and labels: PerturbQA (Wu et al., ICLR 2025; `genentech/PerturbQA`), copyright Genentech,
Inc., 2025, Genentech Non-Commercial Software License 1.0: no commercial use. The measurements are
from Replogle et al. 2022 and Nadig et al. 2024. Traces are the output of their teacher; the terms
of its provider apply.

## Checksums

SHA-256; all of them, this card's too, are in `{{ sums }}`, as `sha256sum --check` reads it.

{{ table(("file", "SHA-256"), files) }}
Versions: {% for name, version in versions.items() %}{{ name }} {{ version }}
{%- if not loop.last %}, {% endif %}{% endfor %}.
"""
