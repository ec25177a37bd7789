"""The contracts of all tables, in the order in which the pipeline fills them."""

from __future__ import annotations

from l2a.tables.contract import Column, Contract, Invariant, one_of, value_or_error

MESSAGES = "array<struct<role:string,content:string,ts:timestamp,seq:bigint>>"
"""A dialogue's messages. `seq` is the order of event logs, null elsewhere."""

SESSION = Column("session_id", "string", "the dialogue")
TURN = Column("turn", "int", "number of the decision point within its dialogue, from 1")
DIALOGUE_VERSION = Column("dialogue_version", "string", "the dialogue version that this row was made from")
SPLIT = Column(
    "split",
    "string",
    "train, dev or eval: a stable hash of the session or of its group, never of arrival, or what --split gave",
)
STATUS = Column("status", "string", "ok or failed")
ERROR = Column("error", "string", "what went wrong; null for ok rows", nullable=True)
CONDITION = Column("condition", "string", "the policy under evaluation; greedy ones end in @greedy")
SAMPLE = Column("sample", "int", "number of the rollout within its turn, from 0")
MODEL_VERSION = Column("model_version", "string", "version of the model behind the condition")
EXTRACTOR = Column("extractor", "string", "extractor version behind the information set")
GRADER = Column("grader", "string", "grader version behind R_a and Omega")
CREATED = Column("created_at", "timestamp", "when the row was written (UTC)", volatile=True)
REQUEST = Column("request_id", "string", "the LLM call behind this row, in llm_calls; null: none", nullable=True)
KNOWN_SPLIT = one_of("split", "train", "dev", "eval")
KNOWN_DECISION = one_of("decision", "CONTINUE", "STOP")

SOURCES = Contract(
    name="sources",
    grain="One row per input file, in each state (size and time) and each way in which it is read.",
    key=("path", "size_bytes", "modified_at", "mapping"),
    columns=(
        Column("path", "string", "the file"),
        Column("size_bytes", "bigint", "its size when it was read"),
        Column("modified_at", "timestamp", "its modification time when it was read (UTC)"),
        Column(
            "mapping",
            "string",
            "how it was read: name and digest of the mapping, a given split, size limits other than the default ones",
        ),
        Column("run_id", "string", "the ingest run that reads it: it has read it once it is in runs", volatile=True),
        Column("ingested_at", "timestamp", "when (UTC)", volatile=True),
    ),
)

QUARANTINE = Contract(
    name="quarantine",
    grain="One row per rejected input line, with the reason; identical lines are rows of their own.",
    key=("source", "position"),
    columns=(
        Column("source", "string", "the file that holds the line"),
        Column("position", "bigint", "line or row number, from 1; null where the reader cannot know", True),
        Column("reason", "string", "what is wrong, in words that a person can act on"),
        Column("raw", "string", "the line (bytes that are not UTF-8 replaced, cut at a setting)", True),
        Column("ingested_at", "timestamp", "when it was read (UTC)", volatile=True),
    ),
)

DIALOGUES = Contract(
    name="dialogues",
    grain="One row per dialogue, in its newest version.",
    key=("session_id",),
    columns=(
        SESSION,
        Column("dialogue_version", "string", "hash of the dialogue's content; changes whenever what it says changes"),
        Column("source", "string", "the file that this version was read from"),
        Column("ingested_at", "timestamp", "when this version was read (UTC)", volatile=True),
        Column("updated_at", "timestamp", "when the dialogue last changed, by the log (UTC); null: not said", True),
        Column("landed", "date", "landing date (dt=) of the source; null outside landing folders", True),
        Column("domain", "string", "field of the dialogue, such as bank", True),
        Column("goal", "string", "what the expert wants to reach", True),
        Column("outcome", "string", "success, or another word for how it ended; null: not said", True),
        Column("expert", "string", "who asked", True),
        SPLIT,
        Column("split_given", "boolean", "whether --split set it, so that later versions keep it; null: not", True),
        Column("messages", MESSAGES, "the messages in order; roles user, assistant (the expert), system, tool"),
    ),
    invariants=(
        KNOWN_SPLIT,
        Invariant("session_id_not_empty", "session_id <> ''", "every dialogue has an id"),
        Invariant("has_messages", "size(messages) > 0", "no dialogue is empty"),
        Invariant(
            "has_a_user",
            "exists(messages, m -> m.role = 'user')",
            "every dialogue has a user message",
        ),
        Invariant(
            "roles_known",
            "forall(messages, m -> m.role IN ('user', 'assistant', 'system', 'tool') AND m.content IS NOT NULL)",
            "every message has a known role and a content",
        ),
    ),
    tracks_changes=True,
)

TURNS = Contract(
    name="turns",
    grain="One row per decision point of a dialogue, as positions into its messages.",
    key=("session_id", "turn"),
    columns=(
        SESSION,
        TURN,
        Column("is_final", "boolean", "whether this is the dialogue's last decision point"),
        Column("context_end", "int", "the context is messages[0:context_end]"),
        Column("utterance_messages", "int", "the expert's utterance lies in so many messages after the context"),
        DIALOGUE_VERSION,
        SPLIT,
        Column("dropped_reason", "string", "why the turn is left out: outcome (not successful); null: usable", True),
    ),
    invariants=(
        KNOWN_SPLIT,
        Invariant("turn_from_1", "turn >= 1", "turns are numbered from 1"),
        Invariant("has_context", "context_end >= 1", "every context holds at least one message"),
        Invariant("utterance_follows", "utterance_messages >= 0", "the utterance follows its context"),
    ),
    tracks_changes=True,
    version=2,
    made_by="l2a slice --all",
)

OBJECTIVES = Contract(
    name="objectives",
    grain="One row per turn under one extractor version: what was worth asking, and whether to stop.",
    key=("session_id", "turn", "extractor"),
    columns=(
        SESSION,
        TURN,
        DIALOGUE_VERSION,
        EXTRACTOR,
        Column("information", "array<string>", 'I*_t, "attribute: value": supplied later and not before', True),
        Column("decision", "string", "s*_t: CONTINUE or STOP; null where extraction failed", True),
        Column(
            "dropped_reason",
            "string",
            "why the turn is left out: nothing_gained (the expert asked on and learnt nothing more), generic_only (all "
            "that was still learnt is asked of everyone); null: usable, or extraction failed",
            True,
        ),
        STATUS,
        ERROR,
        REQUEST,
        Column("supplied", "array<string>", "information and what was left out of it as generic, in one order", True),
    ),
    invariants=(
        KNOWN_DECISION,
        *value_or_error("information", "decision", "supplied"),
        Invariant(
            "stop_when_empty",
            "decision = 'CONTINUE' OR size(information) = 0 OR dropped_reason IS NOT NULL",
            "a usable turn says STOP only where nothing is left to learn",
        ),
        Invariant("continue_has_aim", "decision = 'STOP' OR size(information) > 0", "CONTINUE has something to ask"),
        Invariant(
            "information_is_supplied",
            "size(array_except(information, supplied)) = 0",
            "what is worth asking for is supplied later",
        ),
        Invariant(
            "generic_only_lost_all",
            "dropped_reason <> 'generic_only' OR (size(information) = 0 AND size(supplied) > 0)",
            "generic_only: something was supplied, and all of it is generic",
        ),
    ),
    tracks_changes=True,
)

GENERIC_ATTRIBUTES = Contract(
    name="generic_attributes",
    grain="One row per attribute that most train dialogues of a domain supply, under one extractor version.",
    key=("extractor", "domain", "attribute"),
    columns=(
        EXTRACTOR,
        Column("domain", "string", "of the dialogues; `unknown`: the log does not say"),
        Column("attribute", "string", 'the part of "attribute: value" before the colon, in lower case'),
        Column("dialogues", "bigint", "train dialogues of the domain with an objective"),
        Column("turns", "bigint", "their turns at which something was still to be supplied"),
        Column("asked_share", "double", "of the dialogues, those in which it is supplied after the opening"),
        Column("hit_share", "double", "of the turns, those at which it is still to be supplied: a blind hit"),
        Column("context_effect", "double", "mean change of hit_share with the attribute supplied last, 0 to .5"),
        Column("generic", "boolean", "asked of everyone, whatever was said before: left out of the information"),
        Column("decided_by", "string", "data: by these figures; file: by a person"),
    ),
    invariants=(
        one_of("decided_by", "data", "file"),
        Invariant(
            "shares_are_shares",
            "asked_share BETWEEN 0 AND 1 AND hit_share BETWEEN 0 AND 1 AND context_effect BETWEEN 0 AND 0.5",
            "shares lie in [0, 1], the effect in [0, .5]",
        ),
    ),
)

ROLLOUTS = Contract(
    name="rollouts",
    grain="One row per policy answer: condition, turn and sample number.",
    key=("condition", "session_id", "turn", "sample"),
    columns=(
        CONDITION,
        MODEL_VERSION,
        SESSION,
        TURN,
        DIALOGUE_VERSION,
        SAMPLE,
        Column("text", "string", "the whole output", True),
        Column("action", "string", "the question without the stop mark; null where nothing else was said", True),
        Column("decision", "string", "CONTINUE or STOP, read from the text", True),
        STATUS,
        ERROR,
        REQUEST,
    ),
    invariants=(KNOWN_DECISION, *value_or_error("text", "action", "decision")),
    tracks_changes=True,
)

GRADES = Contract(
    name="grades",
    grain="One row per rollout under one extractor and one grader version.",
    key=("condition", "session_id", "turn", "sample", "extractor", "grader"),
    columns=(
        CONDITION,
        MODEL_VERSION,
        SESSION,
        TURN,
        DIALOGUE_VERSION,
        SAMPLE,
        EXTRACTOR,
        GRADER,
        Column(
            "r_a",
            "double",
            "micro reward, 0 to 1; null where grading failed",
            True,
        ),
        Column("r_s", "double", "macro reward: 1 if the decision is s*_t, else 0; null where the rollout failed", True),
        Column("omega", "double", "format reward, 0 to 1; null where grading failed", True),
        STATUS,
        ERROR,
        Column(
            "asked_item",
            "int",
            "which item of objectives.information is asked for, from 1; null: none, or the grader does not tell",
            True,
        ),
        REQUEST,
    ),
    invariants=(
        *value_or_error("r_a", "omega"),
        Invariant("r_a_range", "r_a BETWEEN 0 AND 1", "R_a lies in [0, 1]"),
        Invariant("r_s_binary", "r_s IN (0, 1)", "R_s is 0 or 1"),
        Invariant("omega_range", "omega BETWEEN 0 AND 1", "Omega lies in [0, 1]"),
    ),
    tracks_changes=True,
)

EVALUATION = Column("evaluation_id", "string", "digest of all that the evaluation stands on", volatile=True)
METRIC = Column("metric", "string", "WA, WA-GH, WC, WS, AA, FC or TR")
METRIC_KNOWN = one_of("metric", "WA", "WA-GH", "WC", "WS", "AA", "FC", "TR")
BETA = Column("beta", "double", "weight of R_a in TR")
MEASURED = (
    Column("value", "double", "the metric; null over no rollout", True),
    Column("n", "bigint", "rollouts behind the value"),
    Column("n_dialogues", "bigint", "dialogues behind the value: the unit that is resampled for the interval"),
    Column("ci_low", "double", "lower end of the 95 % interval", True),
    Column("ci_high", "double", "upper end of the 95 % interval", True),
)
UNGRADED_SHARE = Column(
    "ungraded_share", "double", "of these rollouts, those without R_a: they or their grades failed", True
)
INTERVAL_ORDERED = Invariant("interval_ordered", "ci_low <= ci_high", "an interval has its ends in order")

METRICS = Contract(
    name="metrics",
    grain="One row per metric of a condition in one evaluation, over all usable eval turns.",
    key=("evaluation_id", "condition", "metric"),
    columns=(
        EVALUATION,
        CONDITION,
        METRIC,
        *MEASURED,
        EXTRACTOR,
        GRADER,
        BETA,
        CREATED,
        UNGRADED_SHARE,
        Column("dropped_share", "double", "of all eval turns, those left out: the view drop_reasons says why", True),
    ),
    invariants=(METRIC_KNOWN, INTERVAL_ORDERED),
)

JUDGES = Contract(
    name="judges",
    grain="One row per fitted version of the embedded judge; the newest is the one that `embedded` means.",
    key=("name",),
    columns=(
        Column("name", "string", "version, as it stands in objectives.extractor and grades.grader"),
        Column("judge_version", "int", "version of the judge's code that learnt it and can load it"),
        Column("size", "string", "small or full"),
        Column("dialogues", "bigint", "train dialogues that it was fitted on"),
        Column("fitted_on", "string", "digest of those dialogues' versions and of the judge settings"),
        Column("created_at", "timestamp", "when it was fitted (UTC)", volatile=True),
    ),
)

LLM_CALLS = Contract(
    name="llm_calls",
    grain="One row per distinct LLM request: what it was answered, or why not, and what it took.",
    key=("request_id",),
    columns=(
        Column(
            "request_id", "string", "address: hash of model, model_version, messages, parameters, schema, sample number"
        ),
        Column("model", "string", "the model's name at the endpoint"),
        MODEL_VERSION,
        Column("endpoint", "string", "base URL of the endpoint of the last try", True, volatile=True),
        STATUS,
        Column("error_class", "string", "kind of the error (l2a.llm.errors); null for ok rows", True),
        ERROR,
        Column("text", "string", "the answer as it came; kept beside the error where it could not be parsed", True),
        Column("parsed", "string", "the answer as canonical JSON, where a schema was asked for", True),
        Column("prompt_tokens", "bigint", "over the answered tries of the run that asked last: each is paid for"),
        Column("cached_tokens", "bigint", "of these, served from the endpoint's prefix cache", volatile=True),
        Column("completion_tokens", "bigint", "over the answered tries of the run that asked last"),
        Column("latency_ms", "bigint", "of the last try, from sending to the last byte", volatile=True),
        Column("attempts", "bigint", "HTTP tries of the last run that asked", volatile=True),
        Column("last_status", "bigint", "HTTP status of the last try; null: no response", True),
        Column("finish_reason", "string", "why the model ended its answer, in the endpoint's word", True),
        Column(
            "tried_in", "array<string>", "the runs that asked; as many as max_runs, and it stays failed", False, True
        ),
        CREATED,
    ),
    invariants=(
        one_of("status", "ok", "failed"),
        Invariant("ok_has_text", "status = 'failed' OR text IS NOT NULL", "an ok row has the answer's text"),
        Invariant("failed_has_error", "(status = 'failed') = (error IS NOT NULL)", "only failed rows have an error"),
        Invariant("error_has_class", "(error IS NULL) = (error_class IS NULL)", "an error has its class"),
        Invariant("cached_are_prompt", "cached_tokens <= prompt_tokens", "cached tokens are prompt tokens"),
    ),
)

RUNS = Contract(
    name="runs",
    grain="One row per run of a step that found something to do.",
    key=("run_id",),
    columns=(
        Column("run_id", "string", "the run", volatile=True),
        Column("step", "string", "ingest, slice, extract, rollout, grade, evaluate, ..."),
        Column("subject", "string", "what it worked on: condition, extractor, grader", True),
        Column("started_at", "timestamp", "UTC", volatile=True),
        Column("seconds", "double", "how long it took", volatile=True),
        Column("status", "string", "ok or failed; failed, too, in the mark that a replacing run leaves: see error"),
        Column(
            "error",
            "string",
            "why it failed; `started to replace what was made with other settings` is no failure but the mark that a "
            "run leaves before it replaces what another made: `l2a status` leaves it out once a run ended ok after it",
            True,
        ),
        Column("rows_in", "bigint", "rows read (ingest: input lines)"),
        Column("rows_out", "bigint", "good rows made (slice: all turns, also those that are set aside)"),
        Column("rows_set_aside", "bigint", "rows left out by a rule: unchanged, superseded, dropped"),
        Column("rows_failed", "bigint", "rows quarantined or with status failed"),
        Column("rows_new", "bigint", "ingest: lines that brought a new dialogue", True),
        Column("rows_updated", "bigint", "ingest: lines that replaced an older version", True),
        Column("rows_unchanged", "bigint", "ingest: lines that said nothing new", True),
        Column("rows_superseded", "bigint", "ingest: lines older than what is known", True),
        Column("rows_quarantined", "bigint", "ingest: lines rejected", True),
        Column("facts_dropped", "bigint", "extract: an LLM's facts that the dialogue does not bear out", True),
        Column("calls_paid", "bigint", "distinct LLM requests that were asked"),
        Column(
            "calls_saved",
            "bigint",
            "rows that took no call of their own: it was settled in llm_calls, or another row has the same request",
        ),
        Column("prompt_tokens", "bigint", "of the calls made"),
        Column(
            "cached_tokens",
            "bigint",
            "of the prompt tokens, those served from the endpoint's prefix cache",
            volatile=True,
        ),
        Column("completion_tokens", "bigint", "of the calls made"),
        Column(
            "versions",
            "map<string,string>",
            "Delta versions of the tables read, `settings` (a digest), `mapping` (ingest), `l2a`",
            volatile=True,
        ),
    ),
    invariants=(one_of("status", "ok", "failed"),),
)

SLICE_VALUE = "its value; `unknown`: the log does not say; `other`: beyond the most frequent ones"

METRIC_SLICES = Contract(
    name="metric_slices",
    grain="One row per metric of a condition in one slice of the eval turns of one evaluation.",
    key=("evaluation_id", "condition", "slice", "slice_value", "metric"),
    columns=(
        EVALUATION,
        CONDITION,
        Column("slice", "string", "domain, turn_number, after_first_turn, expert or month"),
        Column("slice_value", "string", SLICE_VALUE),
        METRIC,
        *MEASURED,
        EXTRACTOR,
        GRADER,
        BETA,
        CREATED,
        UNGRADED_SHARE,
    ),
    invariants=(
        one_of("slice", "domain", "turn_number", "after_first_turn", "expert", "month"),
        METRIC_KNOWN,
        INTERVAL_ORDERED,
    ),
)

METRIC_CUBE = Contract(
    name="metric_cube",
    grain="One row per cell of an evaluation's usable graded turns: sums that add up over cells, dialogues do not.",
    key=("evaluation_id", "condition", "split", "domain", "expert", "month", "turn_number"),
    columns=(
        EVALUATION,
        CONDITION,
        SPLIT,
        Column("domain", "string", "of the dialogue; `unknown`, or `other` beyond the most frequent ones"),
        Column("expert", "string", "of the dialogue; `unknown`, or `other` beyond the most frequent ones"),
        Column("month", "string", "YYYY-MM in which the dialogue last changed, else landed; or `unknown`"),
        Column("turn_number", "string", "1 to 5, or 6+"),
        Column("dialogues", "bigint", "with rollouts here; a dialogue has turns in several cells: never add these up"),
        Column("n_rollouts", "bigint", "graded rollouts, failed ones among them"),
        Column("n", "bigint", "of these, rollouts that decided something: behind AA, FC and TR"),
        Column("n_continue", "bigint", "on CONTINUE turns: behind WC"),
        Column("n_continue_right", "bigint", "on CONTINUE turns, that said CONTINUE"),
        Column("n_continue_graded", "bigint", "of these, with a grade: behind WA and WA-GH"),
        Column("sum_r_a", "double", "sum of R_a over n_continue_graded"),
        Column("n_good_hit", "bigint", "of n_continue_graded, those with R_a 1"),
        Column("sum_omega_continue", "double", "sum of Omega over n_continue_graded"),
        Column("n_stop", "bigint", "on STOP turns: behind WS"),
        Column("n_stop_right", "bigint", "on STOP turns, that said STOP"),
        Column("sum_omega_stop", "double", "sum of Omega over n_stop_right"),
        EXTRACTOR,
        GRADER,
        BETA,
        CREATED,
    ),
    invariants=(
        KNOWN_SPLIT,
        Invariant("n_adds_up", "n = n_continue + n_stop AND n <= n_rollouts", "every decided turn has a target"),
        Invariant(
            "counts_nest",
            "n_good_hit <= n_continue_graded AND n_continue_graded <= n_continue_right"
            " AND n_continue_right <= n_continue AND n_stop_right <= n_stop",
            "graded ones are among the right ones, and these among all",
        ),
    ),
)

COMPARISONS = Contract(
    name="comparisons",
    grain="One row per metric, condition and baseline of one evaluation, over the eval turns that both answered.",
    key=("evaluation_id", "baseline", "condition", "metric"),
    columns=(
        EVALUATION,
        Column("baseline", "string", "the condition that is compared with"),
        CONDITION,
        METRIC,
        Column("difference", "double", "value - baseline_value; null where one of them is", True),
        Column("ci_low", "double", "lower end of the difference's 95 % interval", True),
        Column("ci_high", "double", "upper end of the difference's 95 % interval", True),
        Column("n_dialogues", "bigint", "dialogues that the metric of both conditions stands on"),
        Column("called", "string", "higher, lower, or no difference called: always so under 20 dialogues"),
        Column("value", "double", "the condition's metric over the turns in common", True),
        Column("baseline_value", "double", "the baseline's metric over the turns in common", True),
        EXTRACTOR,
        GRADER,
        BETA,
        CREATED,
    ),
    invariants=(
        METRIC_KNOWN,
        INTERVAL_ORDERED,
        one_of("called", "higher", "lower", "no difference called"),
        Invariant("not_itself", "baseline <> condition", "a condition is not compared with itself"),
        Invariant(
            "few_call_nothing",
            "n_dialogues >= 20 OR called = 'no difference called'",
            "under 20 dialogues in common nothing is called",
        ),
        Invariant(
            "called_apart_from_0",
            "called = 'no difference called' OR ci_low > 0 OR ci_high < 0",
            "what is called has an interval without 0",
        ),
    ),
)

TRAININGS = Contract(
    name="trainings",
    grain="One row per finished training: a condition's model, and all that it was made from.",
    key=("condition", "training_id"),
    columns=(
        CONDITION,
        Column("training_id", "string", "digest of method, recipe, seed, data versions, judge and starting model"),
        Column("method", "string", "base, sft, dpo, grpo, gspo, cispo, or an ablation"),
        Column("recipe", "string", "the recipe's name"),
        Column("seed", "bigint", "of everything random"),
        MODEL_VERSION,
        Column("registry_version", "bigint", "number of the model in MLflow's registry, under the condition's name"),
        Column("mlflow_run_id", "string", "the run in MLflow: parameters, curves, artifacts", volatile=True),
        EXTRACTOR,
        Column("grader", "string", "grader behind the reward; null: none was needed", True),
        Column("dialogues_version", "bigint", "Delta version of dialogues that was read"),
        Column("turns_version", "bigint", "Delta version of turns that was read"),
        Column("objectives_version", "bigint", "Delta version of objectives that was read"),
        Column("usable_turns", "bigint", "usable train turns that the tables held at these versions"),
        Column("trained_turns", "bigint", "of these, the ones that the training looked at"),
        Column("steps", "bigint", "optimizer steps"),
        Column("started_at", "timestamp", "when it first started (UTC)", volatile=True),
        Column("seconds", "double", "time spent training, over all attempts", volatile=True),
        CREATED,
    ),
)

ALL: tuple[Contract, ...] = (
    SOURCES, QUARANTINE, DIALOGUES, TURNS, JUDGES, LLM_CALLS, OBJECTIVES, GENERIC_ATTRIBUTES, ROLLOUTS, GRADES, METRICS,
    METRIC_SLICES, METRIC_CUBE, COMPARISONS, TRAININGS, RUNS,
)  # fmt: skip

BY_NAME = {contract.name: contract for contract in ALL}
