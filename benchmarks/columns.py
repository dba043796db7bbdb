"""Markdown cells and tables, for all tables of results."""


def number(x):
    """Format with three digits, or all digits before the point."""
    return "" if x is None else f"{x:,.{max(0, 2 - len(str(int(x))) + 1)}f}"


def of_bytes(size):
    """Format a power of 2 for people."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size} {unit}"
        size //= 1024
    return f"{size} GiB"


def markdown(header, rows):
    """Return a table without its empty columns."""
    columns = [column for column in zip(header, *rows) if any(column[1:])]
    lines = [f"| {' | '.join(row)} |" for row in zip(*columns)]
    return "\n".join([lines[0], "|" + "---|" * len(columns), *lines[1:]])
