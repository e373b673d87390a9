"""The text of the data card: a Jinja template of Markdown under a YAML header, as the hub reads."""

PAGE = """\
---
{{ header }}---

# {{ title }}

{{ "{:,}".format(kept) }} reasoning traces: a teacher model explains what the knockdown of one gene
does to another in a cell line, in answer to a train question of PerturbQA.
{% if blind -%}
The teacher was not told the outcome; a trace is kept where its answer is right.
{%- else -%}
The teacher was told the outcome and asked to explain it.
{%- endif %}
Made by SynthPert {{ versions["synthpert"] }} on {{ date }}.
The thoughts are a model's words, not measurements; no person has checked them.

## Models

{{ table(models) }}
Prompts: `{{ prompts }}`, id `{{ prompt_id }}`.

## What was kept

{{ table(funnel) }}
Right: the answer is. Graded: the thought has passed the gates and has a grade, where one is asked
for. Kept grades: {{ grades or "none was asked for" }}; least words of a thought: {{ least_words }}.
{%- if waiting %}
Not counted: {{ "{:,}".format(waiting) }} without a reply.
{%- endif %}

{% if rejected -%}
{{ table(rejected) }}
{% endif -%}
{% if graded -%}
{{ table(graded) }}
{% endif -%}
## Tokens and cost

{{ table(usage) }}
Of every reply to these questions, kept or not. A dash: not known.

## Files

- `{{ file }}`: one row a trace; cell_line, pert and gene are the question, label its outcome,
  reasoning the thought, response the reply word for word.
{% if "messages" in also -%}
- `{{ files["messages"] }}`: one chat a line, as [TRL](https://huggingface.co/docs/trl/dataset_formats)
  reads it. axolotl: `type: chat_template`. LLaMA-Factory, in `dataset_info.json`:

  ```json
  "{{ title }}": {
    "file_name": "{{ files["messages"] }}",
    "formatting": "sharegpt",
    "columns": {"messages": "messages"},
    "tags": {
      "role_tag": "role", "content_tag": "content",
      "user_tag": "user", "assistant_tag": "assistant", "system_tag": "system"
    }
  }
  ```

  Some chat templates (DeepSeek-R1's) cut what stands before `</think>` out of an assistant's turn:
  look at what your trainer renders before you train.
{% endif -%}
{% if "csv" in also -%}
- `{{ files["csv"] }}`: the columns of the CSV that the paper's authors released.
{% endif %}
## How to make them again

Save as `traces.yaml`, then `synthpert traces make --config traces.yaml`; only what a model replies
may differ.

```yaml
{{ rebuild }}```

{{ table(versioned) }}
## Licence

The questions and labels are rows of PerturbQA (Wu et al., ICLR 2025; `genentech/PerturbQA`),
subsampled: copyright Genentech, Inc., 2025, Genentech Non-Commercial Software License 1.0, no
commercial use; its text is PerturbQA's `{{ licence }}`. The measurements are from Replogle et al.
2022 and Nadig et al. 2024. The thoughts are the output of the models above; the terms of their
providers apply.
"""
