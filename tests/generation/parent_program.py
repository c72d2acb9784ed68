"""A parent that starts an engine, says the child's process id, and waits to be killed. Run by a test as a program."""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from generation.llama_cpp import LlamaCppEngine
from tests.generation.conftest import config_for


async def main(model: Path, binary: Path | None) -> None:
    config = config_for(model)
    if binary is not None:
        config = replace(config, server_binary=binary)
    engine = LlamaCppEngine(config)
    await engine.start()
    sys.stdout.write(f"{engine.child_pid}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None))
