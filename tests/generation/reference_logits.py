"""What the demo model's logits are, computed apart from both engines' own sampling."""

import asyncio
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parley.demo_model import demo_path

ROOT = Path(__file__).resolve().parent.parent.parent

Logits = NDArray[np.float32]


async def fetch_logits(prompts: Sequence[Sequence[int]], *, last: int = 1) -> list[Logits]:
    """For each prompt the logits after each of its last tokens, shape (last, vocabulary)."""
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.generation.logits_program", stdin=-1, stdout=-1, cwd=ROOT
    )
    asked = {"model": str(demo_path()), "prompts": [list(prompt) for prompt in prompts], "last": last}
    output, _ = await program.communicate(json.dumps(asked).encode() + b"\n")
    assert program.returncode == 0
    with np.load(io.BytesIO(output)) as arrays:
        return [arrays[name] for name in arrays.files]
