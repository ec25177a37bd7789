"""A tiny chat model, made from scratch in a second: Qwen2's architecture, 0.7 M parameters, no download.

Its answers make no sense, but they have the right form and they end (tiny_weights.py), so that vLLM can be tried and
tested on a laptop with the very calls that a large model gets in production.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from l2a.model_files import digest
from l2a.serving.tiny_tokens import CHAT_TEMPLATE, END, PAD, make_tokenizer, token_texts
from l2a.serving.tiny_weights import HEADS, HIDDEN, INTERMEDIATE, LAYERS, make_weights

POSITIONS = 16384
TINY_ARGUMENTS = ("--enforce-eager",)
"""For vLLM: to compile so small a model takes half of the start, and a C++ compiler. `--no-enforce-eager` does it."""


def make_tiny_model(folder: Path) -> Path:
    """Makes the model and gives its folder: FOLDER/tiny@HASH, the hash being of weights, tokenizer and template.

    The same bytes every time; one that is there already and whole is left as it is. May run in several processes at
    once. Needs the packages tokenizers and safetensors (they come with transformers and with vLLM), not torch.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".tiny-", dir=folder))
    try:
        _write(made)
        version = digest(made)
        target = folder / f"tiny@{version}"
        if target.exists() and digest(target) != version:
            shutil.rmtree(target)
        try:
            os.rename(made, target)
        except OSError:
            if not target.exists():
                raise
        return target
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _write(folder: Path) -> None:
    from safetensors.numpy import save_file

    tokenizer = make_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    texts = token_texts(tokenizer)
    save_file(make_weights(texts), folder / "model.safetensors", metadata={"format": "pt"})
    end, pad = tokenizer.token_to_id(END), tokenizer.token_to_id(PAD)
    config = {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "dtype": "float32",
        "vocab_size": len(texts),
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "hidden_act": "silu",
        "max_position_embeddings": POSITIONS,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        "tie_word_embeddings": False,
        "use_sliding_window": False,
        "bos_token_id": None,
        "eos_token_id": end,
        "pad_token_id": pad,
    }
    _save(folder / "config.json", config)
    _save(folder / "generation_config.json", {"do_sample": True, "eos_token_id": end, "pad_token_id": pad})
    _save(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "Qwen2Tokenizer",
            "chat_template": CHAT_TEMPLATE,
            "eos_token": END,
            "pad_token": PAD,
            "unk_token": None,
            "model_max_length": POSITIONS,
            "clean_up_tokenization_spaces": False,
        },
    )


def _save(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
