"""The files of a model folder that decide its answers, and the version that they make."""

from __future__ import annotations

import hashlib
from pathlib import Path

WEIGHTS = {".safetensors", ".bin"}
_DECIDING = {".json", ".model", ".txt", ".jinja"} | WEIGHTS
"""Endings of the files that decide a model's answers: weights, configuration, tokenizer, chat template."""
_DIGITS = 16
_CHUNK = 1 << 22


def digest(folder: Path) -> str:
    """16 hexadecimal digits over the names and bytes of the files that decide the model's answers."""
    total = hashlib.sha256()
    for path in deciding_files(folder):
        one = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                one.update(chunk)
        total.update(f"{path.name}\0{one.hexdigest()}\n".encode())
    return total.hexdigest()[:_DIGITS]


def deciding_files(folder: Path) -> list[Path]:
    """The files that decide a model's answers, in order: weights, configuration, tokenizer, chat template."""
    return [path for path in sorted(folder.iterdir()) if path.is_file() and path.suffix in _DECIDING]
