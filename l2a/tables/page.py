"""docs/tables.md: what every table promises, printed from the contracts.

python -m l2a.tables.page > docs/tables.md
"""

from __future__ import annotations

from l2a.tables.contract import Contract
from l2a.tables.contracts import ALL

HEAD = """# Tables

Made from the contracts in `l2a/tables/contracts.py` by `python -m l2a.tables.page`. Each table is a Delta table in
`<warehouse>/<table>`. Times are UTC. A column marked *volatile* may differ between two runs over the same input; two
tables are equal when they are equal without such columns. Invariants are checked before anything is committed.
The views over these tables, and questions with their queries, are in [sql/README.md](../sql/README.md).
"""


def page() -> str:
    """The whole page as Markdown."""
    contents = "".join(f"- [{contract.name}](#{contract.name}): {contract.grain}\n" for contract in ALL)
    return "\n".join([HEAD, contents, *map(_section, ALL)])


def _section(contract: Contract) -> str:
    lines = [f"## {contract.name}", "", contract.grain, ""]
    lines += [f"Key: {', '.join(f'`{name}`' for name in contract.key)}. Contract version {contract.version}.", ""]
    lines += ["| column | type | null | meaning |", "|---|---|---|---|"]
    for column in contract.columns:
        meaning = column.meaning + (" (*volatile*)" if column.volatile else "")
        cells = (f"`{column.name}`", f"`{column.type}`", "yes" if column.nullable else "", meaning)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    if contract.invariants:
        lines += ["", "Invariants:", ""]
        lines += [f"- {invariant.meaning}: `{invariant.sql}`" for invariant in contract.invariants]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
