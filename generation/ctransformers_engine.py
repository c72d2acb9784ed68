"""The second engine: ctransformers in a supervised child process that speaks llama.cpp's routes.

Owns: which models it takes, and what is asked of its child. Does not own: what every local engine does
(`served_engine.py`), nor the child (`ctransformers_child.py`), which alone imports the library.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

from generation.engine import Finished, Piece, SamplingOptions
from generation.gguf_file import GgufHeader
from generation.launch import check_ctransformers, plan_ctransformers_child
from generation.process import Launch
from generation.sampling import completion_body, tightened
from generation.served_engine import ServedEngine, stream_reply
from generation.vocabulary import Tokenize


class CTransformersEngine(ServedEngine):
    """A GGUF model of llama's architecture in ctransformers. Implements `generation.engine.Engine`."""

    def _check(self, header: GgufHeader) -> None:
        check_ctransformers(self._served_config, header)

    def _plan(self, header: GgufHeader, *, socket_path: Path, api_key: str) -> Launch:
        settings = plan_ctransformers_child(self._served_config, header, socket_path=socket_path, api_key=api_key)
        return Launch("ctransformers", "generation.ctransformers_child", settings)

    def _prepare(self, header: GgufHeader, tokenize: Tokenize) -> None:
        """Nothing more is needed: the child samples and constrains by itself."""

    async def _reply(self, prompt: Sequence[int], options: SamplingOptions) -> AsyncGenerator[Piece | Finished, None]:
        body = completion_body(prompt, options, context_tokens=self._context_tokens) | {
            "tfs_z": options.tfs_z,
            "no_repeat_ngram_size": options.no_repeat_ngram_size,
        }
        async with aclosing(stream_reply(self._client, tightened(body), alternatives=options.logprobs)) as events:
            async for event in events:
                yield event
