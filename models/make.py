"""Making the demonstration model from nothing: `make demo-model`.

Owns the order of the steps. An interrupted run goes on where it stopped; a finished one starts over only once
models/build/ is removed.
"""

import asyncio
import hashlib
from pathlib import Path
from typing import Final

from models import convert, engine, evaluate, heldout
from models.tokenizer import train_tokenizer
from models.train import train

BUILD: Final = Path(__file__).with_name("build")
"""Where the vocabulary and the checkpoint are kept; nothing in it belongs under version control."""


def main() -> None:
    """Generate, train, convert and measure."""
    BUILD.mkdir(exist_ok=True)
    vocabulary, checkpoint = BUILD / "tokenizer.model", BUILD / "checkpoint.pt"
    print("writing the held-out dialogues", flush=True)
    heldout.PATH.write_text(heldout.lines(), encoding="utf-8")
    if not vocabulary.exists():
        print("training the vocabulary", flush=True)
        train_tokenizer(vocabulary)
    print("training the network", flush=True)
    network = train(vocabulary, checkpoint)
    print("writing the model", flush=True)
    convert.convert(network.state_dict(), vocabulary)
    print(f"{convert.PATH.name}: sha256 {hashlib.sha256(convert.PATH.read_bytes()).hexdigest()}", flush=True)
    print("measuring it on the held-out dialogues", flush=True)
    for name in engine.SAMPLINGS:
        print(f"sampling: {name}", flush=True)
        evaluate.show(asyncio.run(_measure(name)), misses=False)


async def _measure(sampling: str) -> evaluate.Report:
    async with engine.llama(convert.PATH, engine.SAMPLINGS[sampling]) as ask:
        return await evaluate.score(ask, heldout.read())


if __name__ == "__main__":
    main()
