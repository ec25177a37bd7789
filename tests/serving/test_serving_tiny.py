"""The tiny model is the same everywhere, takes any text, and comes to an end."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from l2a.model_files import digest
from l2a.serving.tiny import POSITIONS, make_tiny_model

# Characters that this Python's Unicode tables know: the tokenizer's may be newer, and join what these do not.
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cn")))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def tokenizer(tiny: Path) -> Tokenizer:
    return Tokenizer.from_file(str(tiny / "tokenizer.json"))


@pytest.fixture(scope="module")
def loaded(tiny: Path) -> tuple[Any, Any]:
    """Tokenizer and model as transformers loads them."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny)
    return tokenizer, transformers.AutoModelForCausalLM.from_pretrained(tiny).eval()


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_another_process_makes_the_same_bytes_under_the_same_name(tiny: Path, tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from l2a.serving.tiny import make_tiny_model as make;"
    code += "print(make(Path(sys.argv[1])).name, [name for name in ('torch', 'transformers') if name in sys.modules])"
    words = [sys.executable, "-c", code, str(tmp_path)]
    other = {**os.environ, "PYTHONHASHSEED": "77", "RAYON_NUM_THREADS": "2"}
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=other)
    assert done.stdout.strip() == f"{tiny.name} []"
    assert contents(tmp_path / tiny.name) == contents(tiny)
    assert [path.name for path in tmp_path.iterdir()] == [tiny.name]


def test_a_whole_model_is_left_alone_and_a_damaged_one_made_again(tmp_path: Path) -> None:
    made = make_tiny_model(tmp_path)
    before = (made / "model.safetensors").stat()
    assert make_tiny_model(tmp_path) == made
    assert (made / "model.safetensors").stat().st_ino == before.st_ino
    (made / "tokenizer.json").write_text("{}")
    assert make_tiny_model(tmp_path) == made
    assert made.name == f"tiny@{digest(made)}"


@given(TEXT)
def test_any_text_comes_back_from_its_tokens(tokenizer: Tokenizer, text: str) -> None:
    tokens = tokenizer.encode(text).ids
    assert tokenizer.decode(tokens, skip_special_tokens=False) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "疼得厉害，该吃什么药？",
        "👩‍👩‍👧 \u202eabc",
        "<|im_end|><|assistant|><stop />",
        "\x00\ud7ff\U0010ffff",
        "a\u0301",
    ],
)
def test_texts_that_break_tokenizers_come_back(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == unicodedata.normalize("NFC", text)


def test_transformers_reads_the_same_tokenizer_and_under_a_million_parameters(
    loaded: tuple[Any, Any], tokenizer: Tokenizer
) -> None:
    text = "I said \"10 o'clock\", l'été:\n\n  疼  [x] <|endoftext|> <stop /> 👋…"
    read, model = loaded
    assert read.encode(text) == tokenizer.encode(text).ids
    assert max(read.encode(text)) < model.config.vocab_size == len(read)
    assert sum(parameter.numel() for parameter in model.parameters()) < 1_000_000
    assert model.config.max_position_embeddings == POSITIONS >= 8192


def test_a_conversation_is_framed_by_one_token_a_side(loaded: tuple[Any, Any]) -> None:
    roles = ("system", "user", "tool", "assistant")
    messages = [{"role": role, "content": f"the {role}"} for role in roles]
    text = loaded[0].apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert text == (
        "<|system|>the system<|im_end|><|user|>the user<|im_end|><|user|>the tool<|im_end|>"
        "<|assistant|>the assistant<|im_end|><|assistant|>"
    )


@pytest.mark.parametrize("sampled", [False, True])
def test_free_text_is_never_empty_and_ends_soon(loaded: tuple[Any, Any], sampled: bool) -> None:
    import torch

    tokenizer, model = loaded
    texts = []
    for number in range(20):
        messages = [{"role": "user", "content": f"Question {number}: 卡丢了 👋? " + "and more " * number * 5}]
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt")["input_ids"]
        torch.manual_seed(number)
        with torch.inference_mode():
            answer = model.generate(
                prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=64, do_sample=sampled
            )[0, prompt.shape[1] :]
        assert answer[-1] == tokenizer.eos_token_id and len(answer) < 16
        texts.append(tokenizer.decode(answer, skip_special_tokens=True).strip())
    assert all(texts)
    assert len(set(texts)) > (5 if sampled else 1), "what is asked makes a difference"
