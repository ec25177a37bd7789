"""`l2a evaluate` as a user types it: the table, differences to a baseline, what-ifs, and mistakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from helpers import dicts, open_warehouse
from metric_rows import EXTRACTOR, GRADER, SKILL, fill, write
from pyspark.sql import functions as F

from l2a.cli import main
from l2a.metrics import METRIC_NAMES
from l2a.tables.contracts import COMPARISONS, GRADES, METRICS, ROLLOUTS, RUNS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from l2a.tables.warehouse import Warehouse

Evaluate = Callable[..., Result]


@pytest.fixture(scope="module")
def ready(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    warehouse = open_warehouse(spark, tmp_path_factory.mktemp("evaluate") / "warehouse")
    fill(warehouse)
    return warehouse


@pytest.fixture
def l2a_evaluate(ready: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Evaluate:
    from spark_jobs.evaluate import command

    monkeypatch.setenv("L2A_EVALUATE__REPLICATES", "100")

    def run(*arguments: str) -> Result:
        judges = ["--extractor", EXTRACTOR, "--grader", GRADER]
        return CliRunner().invoke(command, ["--warehouse", ready.root, *judges, *arguments])

    return run


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--baseline", "nobody"], "there are: base, base@greedy, expert, sft"),
        (["--omega", "colour=1"], "no Omega weight; there are: one_question"),
        (["--beta", "1,x"], "'x' is not a valid float"),
        (["--beta", "-1"], "not in the range"),
        (["--beta", "nan"], "not finite"),
    ],
)
def test_mistakes_end_before_anything_is_written(
    l2a_evaluate: Evaluate, ready: Warehouse, arguments: list[str], says: str
) -> None:
    done = l2a_evaluate(*arguments)
    assert (done.exit_code, says in done.stderr) == (2, True), done.stderr
    assert not ready.exists(METRICS)


def test_without_the_champions_answers_the_others_are_measured_all_the_same(
    l2a_evaluate: Evaluate, ready: Warehouse
) -> None:
    done = l2a_evaluate("--baseline", "champion")
    assert (done.exit_code, "there are: base, base@greedy, expert, sft" in done.stderr) == (2, True), done.stderr
    assert {row["condition"] for row in ready.read(METRICS).collect()} == {"base", "base@greedy", "expert", "sft"}


def test_a_baseline_is_compared_on_the_turns_that_both_answered(l2a_evaluate: Evaluate, ready: Warehouse) -> None:
    done = l2a_evaluate("--baseline", "base")
    assert done.exit_code == 0, done.output
    assert "minus base" in done.stdout
    assert "Warning: more than 5% of the rollouts have no grade" in done.stdout
    rows = {(row["condition"], row["metric"]): row for row in dicts(ready, COMPARISONS)}
    assert set(rows) == {(c, m) for c in SKILL if c != "base" for m in METRIC_NAMES}
    assert {row["evaluation_id"] for row in rows.values()} == {row["evaluation_id"] for row in dicts(ready, METRICS)}
    assert {rows["expert", name]["called"] for name in ("WC", "AA", "TR")} == {"higher"}
    assert rows["base@greedy", "TR"]["called"] == "no difference called"
    answered = {name: set() for name in SKILL}
    for row in dicts(ready, GRADES):
        if row["r_s"] is not None and int(row["session_id"][2:]) % 5 != 4:  # the others are in the dev split
            answered[row["condition"]].add((row["session_id"], row["turn"]))
    for condition in ("expert", "sft"):
        both = answered[condition] & answered["base"]
        right = [
            row["r_s"]
            for row in dicts(ready, GRADES)
            if row["condition"] == "base" and (row["session_id"], row["turn"]) in both and row["r_s"] is not None
        ]
        found = rows[condition, "AA"]
        assert found["baseline_value"] == pytest.approx(sum(right) / len(right)), "the baseline on these turns alone"
        assert found["n_dialogues"] == len({session for session, _ in both})
        assert found["difference"] == pytest.approx(found["value"] - found["baseline_value"])
    assert rows["sft", "AA"]["n_dialogues"] < rows["expert", "AA"]["n_dialogues"]


def test_another_baseline_is_no_other_evaluation(l2a_evaluate: Evaluate, ready: Warehouse) -> None:
    for baseline in ("base", "expert", "expert"):
        assert l2a_evaluate("--baseline", baseline).exit_code == 0
    assert [row["step"] for row in dicts(ready, RUNS)].count("evaluate") == 1
    assert sorted(row["subject"] for row in dicts(ready, RUNS) if row["step"] == "compare") == [
        f"base: {EXTRACTOR} {GRADER}", f"expert: {EXTRACTOR} {GRADER}"
    ]  # fmt: skip
    there, back = ({(r["condition"], r["metric"]): r for r in dicts(ready, COMPARISONS) if r["baseline"] == b}
                   for b in ("base", "expert"))  # fmt: skip
    for name in METRIC_NAMES:
        assert back["base", name]["difference"] == pytest.approx(-there["expert", name]["difference"])


def test_what_ifs_print_the_order_under_each_and_store_nothing(l2a_evaluate: Evaluate, ready: Warehouse) -> None:
    assert l2a_evaluate().exit_code == 0
    before = ready.version(METRICS)
    several = l2a_evaluate("--beta", "0,.5,1,2,4")
    assert several.exit_code == 0, several.output
    table = several.stdout[several.stdout.index("mean reward if") :]
    lines = [line.split()[:2] for line in table.splitlines() if line.strip().startswith("beta ")]
    assert lines == [["beta", beta] for beta in ("2", "0", "0.5", "1", "4")]
    assert "order of the conditions" in table
    asked = l2a_evaluate("--what-if", "--omega", "two_questions=0")
    assert "sum R_s + R_a + Omega" in asked.stdout and "two_questions 0" in asked.stdout
    assert "mixed_stop" not in asked.stdout, "weights that are given take the place of the usual ones"
    assert ready.version(METRICS) == before


def test_one_beta_is_an_evaluation_of_its_own(l2a_evaluate: Evaluate, ready: Warehouse) -> None:
    done = l2a_evaluate("--beta", "1")
    assert done.exit_code == 0, done.output
    assert "beta 1." in done.stdout and "mean reward if" not in done.stdout
    assert {row["beta"] for row in dicts(ready, METRICS)} >= {1.0}


def test_it_returns_the_evaluation_that_it_tells_of_though_another_is_newer(
    ready: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("L2A_EVALUATE__REPLICATES", "100")
    words = ["evaluate", "--warehouse", ready.root, "--extractor", EXTRACTOR, "--grader", GRADER]

    def returned(*arguments: str) -> object:
        return CliRunner().invoke(main, [*words, *arguments], standalone_mode=False).return_value

    first = returned()
    assert first in {row["evaluation_id"] for row in dicts(ready, METRICS)}
    assert returned("--beta", "3") != first == returned()
    with monkeypatch.context() as other:
        other.setenv("L2A_EVALUATE__REPLICATES", "101")
        assert returned() != first
    assert returned() == first


def test_a_policy_that_was_rolled_out_anew_is_not_measured_by_its_older_grades(
    l2a_evaluate: Evaluate, ready: Warehouse
) -> None:
    newer = [row | {"model_version": "newer"} for row in dicts(ready, ROLLOUTS)]
    write(ready, ROLLOUTS, [row for row in newer if row["condition"] == "sft"])
    done = l2a_evaluate()
    assert done.exit_code == 0, done.output
    assert " base " in done.stdout and " sft " not in done.stdout
    assert "rollouts of sft are not graded yet" in done.stderr and "rollouts of base" not in done.stderr


def test_grades_of_rollouts_that_are_no_more_go_whoever_gave_them(ready: Warehouse) -> None:
    from spark_jobs.grade import remove_orphans

    write(ready, GRADES, [{**row, "grader": "llm:older"} for row in dicts(ready, GRADES)])
    gone = [row for row in dicts(ready, ROLLOUTS) if row["session_id"] == "s-3" and row["condition"] == "base"]
    left = ready.read(GRADES).count() - 2 * len(gone)
    scope = ready.read(ROLLOUTS).where("session_id = 's-3' AND condition = 'base'").select(*ROLLOUTS.key)
    ready.replace(ROLLOUTS, ready.read(ROLLOUTS).limit(0), scope=scope)
    for _ in range(2):
        remove_orphans(ready, None, F.lit(True))
        assert gone and ready.read(GRADES).count() == left
