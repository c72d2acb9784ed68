"""Computes logits with the native library, for tests that need a reference.

A program of its own (`python -m tests.generation.logits_program`) because that library is never loaded into the tests'
process. Reads one line of JSON, `{"model", "prompts": [[ids]], "last": n}`, and writes an npz to standard output: for
each prompt the logits after each of its last n tokens.
"""

import io
import json
import sys
from pathlib import Path

import numpy as np

from generation.native_model import NativeModel


def main() -> None:
    asked = json.loads(sys.stdin.readline())
    model = NativeModel(Path(asked["model"]), context_tokens=2048, threads=1)
    found = []
    for prompt in asked["prompts"]:
        rows = []
        for end in range(len(prompt) - asked["last"] + 1, len(prompt) + 1):
            while not model.compute(prompt[:end], at_most=512):
                pass
            rows.append(model.get_logits())
        found.append(np.array(rows))
    output = io.BytesIO()
    np.savez(output, *found)
    sys.stdout.buffer.write(output.getvalue())


if __name__ == "__main__":
    main()
