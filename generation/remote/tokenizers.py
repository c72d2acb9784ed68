"""Which of the two wires a server's template and vocabulary are reached over, where they can be at all."""

from generation.encoder import Tokenizer
from generation.remote.facts import Facts, Kind
from generation.remote.vllm_tokenizer import VllmTokenizer
from generation.server_tokenizer import Post, ServerTokenizer


def choose_tokenizer(facts: Facts, post: Post) -> Tokenizer | None:
    """Give the tokenizer; None for a server that takes messages only."""
    match facts.kind:
        case Kind.LLAMA_SERVER:
            return ServerTokenizer(post)
        case Kind.VLLM:
            return VllmTokenizer(post, model=facts.upstream)
        case Kind.CHAT:
            return None
