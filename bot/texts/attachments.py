"""Why files that came with a question were not read."""

from bot.language import number, tr, tr_count


def files_off() -> str:
    """Say that no files are taken."""
    return tr("I take no files here. Please paste the text into your message.")


def not_text(*, name: str, limit_bytes: int) -> str:
    """Say which file is not a text, and what is taken."""
    return tr(
        "`{name}` is not a text I can read. I take text files in UTF-8 (.txt, .md, .json, .csv, logs, code), "
        "up to {size} together; no pictures, PDFs or archives.",
        name=name,
        size=_size(limit_bytes),
    )


def too_large(*, limit_bytes: int) -> str:
    """Say that the files are too large."""
    return tr(
        "That is more text than I can take: the files of a message may have up to {size} together. "
        "Please send the part that matters.",
        size=_size(limit_bytes),
    )


def not_fetched(*, name: str) -> str:
    """Say that a file could not be fetched."""
    return tr("I could not fetch `{name}` from Discord. Please send it again.", name=name)


def _size(size_bytes: int) -> str:
    """Return a size as Discord writes it, rounded down."""
    if size_bytes < 1024:
        return tr_count("{count} byte", "{count} bytes", size_bytes)
    if size_bytes < 1024**2:
        return tr("{count} KB", count=number(size_bytes // 1024))
    return tr("{count} MB", count=number(size_bytes // 1024**2))
