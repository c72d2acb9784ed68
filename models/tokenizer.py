"""The vocabulary: training it from generated dialogues, and turning dialogues into tokens.

Owns the turn markers and the chat template, which training and the converted file must agree on.
"""

import io
import string
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import sentencepiece as spm

from models.dialogues import dialogue

VOCABULARY_SIZE: Final = 1536
"""Pieces in all: small enough that the embeddings stay a minor part of the network."""

TOKENIZER_DIALOGUES: Final = 6_000
"""Dialogues the pieces are learnt from; more change only the rarest ones."""

MARKERS: Final = ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
"""Control tokens: one opens the turn of each role, the last closes every turn."""

END: Final = "<|end|>"

CHAT_TEMPLATE: Final = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def _lines() -> Iterator[str]:
    for number in range(TOKENIZER_DIALOGUES):
        for message in dialogue(f"tokenizer {number}", 10).messages():
            yield message["content"]


def train_tokenizer(path: Path) -> None:
    """Learn the vocabulary and write it in SentencePiece's own format."""
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=_lines(),
        model_writer=model,
        model_type="bpe",
        vocab_size=VOCABULARY_SIZE,
        byte_fallback=True,
        split_digits=True,
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        normalization_rule_name="identity",
        character_coverage=0.9995,
        required_chars=string.punctuation + string.digits + string.ascii_letters,
        control_symbols=list(MARKERS),
        num_threads=1,
        minloglevel=2,
    )
    path.write_bytes(model.getvalue())


class Tokenizer:
    """Turns dialogues into token ids and ids into text."""

    def __init__(self, path: Path) -> None:
        self._pieces = spm.SentencePieceProcessor(model_file=str(path))
        self.end = self._pieces.piece_to_id(END)
        self._start = self._pieces.bos_id()
        self._roles = {marker[2:-2]: self._pieces.piece_to_id(marker) for marker in MARKERS[:3]}

    def decode(self, ids: Iterable[int]) -> str:
        """Give the text of the ids."""
        return str(self._pieces.decode(list(ids)))

    def message(self, role: str, content: str) -> list[int]:
        """Put the markers around one message."""
        return [self._roles[role], *self._pieces.encode(content), self.end]

    def prompt(self, messages: Iterable[dict[str, str]]) -> list[int]:
        """Write a conversation as the chat template does, up to where the assistant begins."""
        ids = [self._start]
        for message in messages:
            ids += self.message(message["role"], message["content"])
        return [*ids, self._roles["assistant"]]

    def opening(self, system: str | None) -> list[int]:
        """Write what the conversation begins with."""
        return [self._start] + ([] if system is None else self.message("system", system))
