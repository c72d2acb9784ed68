"""Training the network on freshly generated dialogues.

Owns the phases, the optimizers and the checkpoints. The same seed, number of steps and number of threads give the
same weights, whether or not the training was interrupted. Time plays no part.
"""

import argparse
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from models.batches import Batch, Phase, batches
from models.muon import Muon
from models.network import Network, Shape

SEED: Final = "parley demo 1"
THREADS: Final = 2
"""Part of the recipe: another number of threads adds in another order and gives slightly different weights."""

_SHORT: Final = {"block": 256, "rows": 24}
PHASES: Final = (
    Phase(steps=2600, **_SHORT),
    Phase(steps=700, block=1024, rows=6),
    Phase(steps=200, **_SHORT),
    Phase(steps=300, block=2048, rows=3),
    Phase(steps=200, **_SHORT),
)
"""Mostly short conversations; long ones, which are dearer, once there is something to remember. Every step has 6,144
tokens, so all 4,000 have 24.6 million, a quarter of them in long conversations."""

PEAK_RATE: Final = 4e-3
LEAST_RATE: Final = 4e-5
WARM_UP_STEPS: Final = 100
DECAY: Final = 0.01
LARGEST_GRADIENT: Final = 1.0

SCORE_PULL: Final = 2e-3
"""Weight of the pull of log-sum-exp towards zero. Scores then are log-probabilities, a sure token's score is near zero,
and a repeat penalty, which scales scores, leaves it alone."""

CHECKPOINT_EVERY: Final = 200
"""Steps between checkpoints: a few minutes."""

_REPORT_EVERY: Final = 10
"""Steps between lines of progress: some seconds."""


@dataclass
class Training:
    """The state a checkpoint holds."""

    network: Network
    optimizers: tuple[torch.optim.Optimizer, ...]
    step: int = 0

    def save(self, path: Path) -> None:
        """Write a checkpoint; a reader sees the old one or the new one, never half of it."""
        partial = path.with_suffix(".partial")
        states = [optimizer.state_dict() for optimizer in self.optimizers]
        torch.save({"step": self.step, "network": self.network.state_dict(), "optimizers": states}, partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint."""
        saved = torch.load(path, weights_only=True)
        self.step = saved["step"]
        self.network.load_state_dict(saved["network"])
        for optimizer, state in zip(self.optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)


def begin(seed: str) -> Training:
    """Prepare a training before its first step."""
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(mode=True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.manual_seed(sum(seed.encode()))
    network = Network(Shape())
    matrices = [weight for weight in network.layers.parameters() if weight.dim() == 2]
    chosen = {id(weight) for weight in matrices}
    others = [weight for weight in network.parameters() if id(weight) not in chosen]
    muon = Muon(matrices, PEAK_RATE, DECAY)
    adam = torch.optim.AdamW(others, lr=PEAK_RATE, betas=(0.9, 0.95), weight_decay=0.0)
    return Training(network, (muon, adam))


def rate_at(step: int, last: int) -> float:
    """Compute the learning rate: a short rise, then a straight fall to the end."""
    if step < WARM_UP_STEPS:
        return PEAK_RATE * (step + 1) / WARM_UP_STEPS
    done = (step - WARM_UP_STEPS) / max(1, last - WARM_UP_STEPS)
    return PEAK_RATE + (LEAST_RATE - PEAK_RATE) * done


def losses(network: Network, batch: Batch) -> tuple[Tensor, Tensor]:
    """Compute what to minimise, and the mean loss on the assistant's words for people to read."""
    tokens, weights = torch.from_numpy(batch.tokens), torch.from_numpy(batch.weights[:, 1:]).flatten()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = network(tokens[:, :-1])
    scores = scores.float().flatten(0, 1)
    total = scores.logsumexp(-1)
    loss = total - scores.gather(1, tokens[:, 1:].reshape(-1, 1)).squeeze(1)
    said = weights == 1.0
    weighted = ((loss + SCORE_PULL * total.square()) * weights).sum() / weights.sum()
    return weighted, loss[said].mean().detach()


def step_once(training: Training, batch: Batch, last: int) -> float:
    """One step; gives the loss on the assistant's words."""
    rate = rate_at(training.step, last)
    for optimizer in training.optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
    loss, said = losses(training.network, batch)
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(training.network.parameters(), LARGEST_GRADIENT)
    for optimizer in training.optimizers:
        optimizer.step()
    training.step += 1
    return float(said)


def train(vocabulary: Path, checkpoint: Path, phases: tuple[Phase, ...] = PHASES, seed: str = SEED) -> Network:
    """Train to the end of the phases, going on from the checkpoint where there is one."""
    training = begin(seed)
    if checkpoint.exists():
        training.load(checkpoint)
        print(f"going on from step {training.step}", flush=True)
    _run(training, batches(vocabulary, seed, phases, training.step), phases, checkpoint)
    return training.network


def _run(training: Training, source: Iterable[Batch], phases: tuple[Phase, ...], checkpoint: Path) -> None:
    last = sum(phase.steps for phase in phases)
    began, tokens, recent = time.monotonic(), 0, 0.0
    first = training.step
    for batch in source:
        recent += step_once(training, batch, last)
        tokens += batch.tokens[:, 1:].size
        if training.step % _REPORT_EVERY == 0:
            spent = time.monotonic() - began
            left = spent / (training.step - first) * (last - training.step)
            rate = tokens / spent
            mean = recent / _REPORT_EVERY
            print(
                f"step {training.step}/{last}  loss {mean:.4f}  {rate:.0f} tokens/s  {left / 60:.1f} min left",
                flush=True,
            )
            recent = 0.0
        if training.step % CHECKPOINT_EVERY == 0 or training.step == last:
            training.save(checkpoint)


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description="Train the demonstration model.")
    parser.add_argument("--vocabulary", type=Path, default=Path("models/build/tokenizer.model"))
    parser.add_argument("--checkpoint", type=Path, default=Path("models/build/checkpoint.pt"))
    options = parser.parse_args()
    train(options.vocabulary, options.checkpoint)


if __name__ == "__main__":
    main()
