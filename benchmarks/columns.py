"""The cells and tables of Markdown that all tables of results are made of."""


def number(x):
    """Three digits, or all before the point."""
    return "" if x is None else f"{x:,.{max(0, 2 - len(str(int(x))) + 1)}f}"


def of_bytes(size):
    """A power of 2 as a person reads it."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size} {unit}"
        size //= 1024
    return f"{size} GiB"


def markdown(header, rows):
    """A table without the columns that are empty."""
    columns = [column for column in zip(header, *rows) if any(column[1:])]
    lines = [f"| {' | '.join(row)} |" for row in zip(*columns)]
    return "\n".join([lines[0], "|" + "---|" * len(columns), *lines[1:]])
