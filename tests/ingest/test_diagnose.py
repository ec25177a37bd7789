"""What is said of a line that is no JSON: cut off, wrong, or something behind it. No Spark."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2a.ingest.diagnose import diagnose

LINE = {"goal": '我的卡丢了 🙂 "\\', "scores": [-1.5e-10, 0, 12e30, -7, True, False, None, {}], "said": {"一": []}}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def cut(line: Any) -> list[str]:
    """Every way in which a line can end too early: as `json.dumps` writes it, in escapes, and as it reads."""
    texts = [json.dumps(line, ensure_ascii=escaped) for escaped in (True, False)]
    return [text[:end] for text in texts for end in range(1, len(text))]


@given(st.dictionaries(st.text(max_size=5), VALUES, min_size=1))
def test_a_line_that_ends_anywhere_too_early_is_called_truncated(line: dict[str, Any]) -> None:
    assert {diagnose(text) for text in [*cut(line), *cut(LINE)]} == {"truncated JSON: the line ends inside a value"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"a": hello', "not JSON: Expecting value at character 7"),
        ('{"a": truth', "not JSON: Expecting value at character 7"),
        ('{"a": 1 2', "not JSON: Expecting ',' delimiter at character 9"),
        ('{"a": 1.}', "not JSON: Expecting ',' delimiter at character 8"),
        ('{"a": "\\x', "not JSON: Invalid \\escape at character 8"),
        ('{"a": "\\u12"', "not JSON: Invalid \\uXXXX escape at character 9"),
        ('{"a":1}\f', "rubbish after the object: '\\x0c'"),
        ('{"a":1}\u00a0', "rubbish after the object: '\\xa0'"),
        ('{"a":1} ,', "rubbish after the object: ,"),
    ],
)
def test_a_line_that_is_wrong_in_another_way_is_not(line: str, said: str) -> None:
    assert diagnose(line) == said


@pytest.mark.parametrize("run", ["-", "1", ".", "e", '"', "[", "\\"])
def test_a_long_run_of_one_sign_is_looked_at_once(run: str) -> None:
    said = diagnose('{"a": "' + run * 1_000_000 + '" "b": 1}')
    assert said.startswith(("not JSON: ", "truncated JSON: ", "rubbish after"))
