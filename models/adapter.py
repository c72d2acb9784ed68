"""Making the demonstration adapter from the demonstration model: `make demo-adapter`.

Owns the order of the steps, the conversations it learns from and how it learns. The network is read from the model's
own file, so that nothing but that file, the seed and the number of threads decides the result.
"""

import asyncio
import hashlib
import time
from pathlib import Path
from typing import Final

import gguf
import sentencepiece as spm
import torch

from models import adapter_file, convert, low_rank, voices
from models.batches import OTHERS_WEIGHT, Phase, batches
from models.dialogues import exchanges, set_scene
from models.draw import Draw
from models.make import BUILD
from models.network import Network
from models.pirate import in_voice
from models.tokenizer import Tokenizer, train_tokenizer
from models.train import LARGEST_GRADIENT, losses

SEED: Final = "parley demo pirate 1"
THREADS: Final = 1
"""Part of the recipe. With two, each waits spinning for the other, which on a busy machine takes many times as long."""

PHASES: Final = (Phase(steps=500, block=256, rows=16), Phase(steps=100, block=1024, rows=4))
"""Mostly short conversations, and long ones at the end: 2.5 million tokens in all."""

PEAK_RATE: Final = 3e-3
WARM_UP_STEPS: Final = 20

PLAIN_SHARE: Final = 0.4
"""Share of conversations that begin with replies of the model itself: whoever changes the model midway has some."""

MOST_PLAIN: Final = 8

_REPORT_EVERY: Final = 10


def fill_block(tokenizer: Tokenizer, seed: str, length: int) -> tuple[list[int], list[float]]:
    """Let one conversation go on until it fills the block; what the users say is not learnt."""
    scene = set_scene(Draw(seed))
    stream = exchanges(scene)
    plain = scene.draw.below(1, MOST_PLAIN) if scene.draw.chance(PLAIN_SHARE) else 0
    ids = tokenizer.opening(scene.system)
    weights = [0.0] * len(ids)
    for number, exchange in enumerate(stream):
        is_plain = number < plain
        asked = tokenizer.message("user", exchange.user)
        reply = exchange.reply if is_plain else in_voice(exchange.kind, exchange.reply)
        said = tokenizer.message("assistant", reply)
        ids += asked + said
        weights += [0.0] * (len(asked) + 1) + [OTHERS_WEIGHT if is_plain else 1.0] * (len(said) - 1)
        if len(ids) >= length:
            break
    return ids[:length], weights[:length]


def train(vocabulary: Path) -> Network:
    """Teach an adapter beside the model's own weights, which stay."""
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(mode=True)
    torch.manual_seed(sum(SEED.encode()))
    network = low_rank.read_network(convert.PATH)
    learning = low_rank.adapt(network)
    optimizer = torch.optim.AdamW(learning, lr=PEAK_RATE, betas=(0.9, 0.99), weight_decay=0.0)
    last = sum(phase.steps for phase in PHASES)
    recent, began = 0.0, time.monotonic()
    for step, batch in enumerate(batches(vocabulary, SEED, PHASES, 0, fill_block)):
        for group in optimizer.param_groups:
            group["lr"] = _rate_at(step, last)
        optimizer.zero_grad(set_to_none=True)
        loss, said = losses(network, batch)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(learning, LARGEST_GRADIENT)
        optimizer.step()
        recent += float(said)
        if (step + 1) % _REPORT_EVERY == 0:
            spent = time.monotonic() - began
            print(f"step {step + 1}/{last}  loss {recent / _REPORT_EVERY:.4f}  {spent:.0f} s", flush=True)
            recent = 0.0
    return network


def _rate_at(step: int, last: int) -> float:
    """Compute the learning rate: a short rise, then a straight fall."""
    return PEAK_RATE * min((step + 1) / WARM_UP_STEPS, max(0.02, 1 - step / last))


def _make_vocabulary(path: Path) -> None:
    """Learn the vocabulary again, which takes seconds, and make sure that it is the model's."""
    train_tokenizer(path)
    pieces = spm.SentencePieceProcessor(model_file=str(path))
    field = gguf.GGUFReader(convert.PATH).fields["tokenizer.ggml.tokens"]
    if [pieces.id_to_piece(one) for one in range(pieces.vocab_size())] != field.contents():
        raise SystemExit(f"the vocabulary of {convert.PATH.name} is another; make the model again with make demo-model")


def main() -> None:
    """Learn, write and measure."""
    BUILD.mkdir(exist_ok=True)
    vocabulary = BUILD / "tokenizer.model"
    _make_vocabulary(vocabulary)
    print("training the adapter", flush=True)
    adapter_file.write_adapter(train(vocabulary))
    digest = hashlib.sha256(adapter_file.PATH.read_bytes()).hexdigest()
    print(f"{adapter_file.PATH.name}: sha256 {digest}", flush=True)
    print("measuring it on the held-out dialogues", flush=True)
    asyncio.run(voices.measure())


if __name__ == "__main__":
    main()
