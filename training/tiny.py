"""A model made from scratch: Qwen2's architecture, about 0.1 to 6 M parameters, a tokenizer learnt from the train logs.

Its chat template is short, so that a prompt is mostly dialogue: one token opens a message, and of the instructions only
two things reach the model, whether it may stop and the dialogue's domain. It is used the same way in training, in
process and behind vLLM.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from l2a.dialogue.types import STOP_MARK
from l2a.llm.prompts.rollout import ABOUT
from l2a.serving.tiny_tokens import ASSISTANT, END, PAD, SYSTEM, USER, train_tokenizer
from training.data import Turn, by_dialogue
from training.recipes import Tiny

MAY_STOP = "<|may_stop|>"
SPECIAL = (PAD, END, SYSTEM, USER, ASSISTANT, MAY_STOP)
_DOMAIN = '"domain": '

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message.role == 'system' %}"
    f"{SYSTEM}{{% if '{STOP_MARK}' in message.content %}}{MAY_STOP}{{% endif %}}"
    f"{{% if '{ABOUT}' in message.content %}}"
    f"{{{{ message.content.split('{ABOUT}')[-1].split('{_DOMAIN}')[-1] }}}}"
    "{% endif %}"
    "{% else %}"
    "{{ '<|' + ('assistant' if message.role == 'assistant' else 'user') + '|>' }}{{ message.content }}"
    "{% endif %}"
    f"{END}"
    "{% endfor %}"
    f"{{% if add_generation_prompt %}}{ASSISTANT}{{% endif %}}"
)


def make(folder: Path, sizes: Tiny, turns: Sequence[Turn], max_length: int, seed: int) -> None:
    """Writes tokenizer and randomly initialised weights into `folder` in Hugging Face form."""
    import torch
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

    folder.mkdir(parents=True, exist_ok=True)
    corpus = (m.content for turns_of in by_dialogue(turns) for m in turns_of[0].dialogue.messages)
    domains = sorted({json.dumps(t.dialogue.domain, ensure_ascii=False) for t in turns if t.dialogue.domain})
    tokenizer = train_tokenizer((text for part in (corpus, domains) for text in part), sizes.vocabulary, SPECIAL)
    tokenizer.save(str(folder / "tokenizer.json"))
    described: dict[str, Any] = {
        "tokenizer_class": "Qwen2Tokenizer",
        "chat_template": CHAT_TEMPLATE,
        "eos_token": END,
        "pad_token": PAD,
        "unk_token": None,
        "model_max_length": max_length,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    loaded = AutoTokenizer.from_pretrained(str(folder))
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=sizes.hidden,
        intermediate_size=sizes.intermediate,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        num_key_value_heads=sizes.heads,
        max_position_embeddings=max_length,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=loaded.eos_token_id,
        pad_token_id=loaded.pad_token_id,
    )
    model = Qwen2ForCausalLM(config)
    model.generation_config.do_sample = True
    model.save_pretrained(str(folder))
