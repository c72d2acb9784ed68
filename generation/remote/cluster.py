"""What is known of all servers together, before the first request: everything the engine is made of."""

from dataclasses import dataclass

from generation.abilities import Abilities
from generation.encoder import PromptEncoder, Tokenizer
from generation.remote.facts import Facts, Kind
from generation.remote.scan import Vocabulary
from generation.remote.vllm_tokenizer import VllmTokenizer
from generation.server_tokenizer import Post, ServerTokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """`facts` hold for each server, with the smallest context of all.

    `takes_tools` says that a server that takes messages called a function when it was tried.
    """

    facts: Facts
    vocabulary: Vocabulary
    abilities: Abilities
    takes_tools: bool = False


def make_encoder(facts: Facts, vocabulary: Vocabulary, post: Post) -> PromptEncoder | None:
    """Make what encodes prompts for these servers; None for those that take messages only."""
    tokenizer: Tokenizer
    match facts.kind:
        case Kind.LLAMA_SERVER:
            tokenizer = ServerTokenizer(post)
        case Kind.VLLM:
            tokenizer = VllmTokenizer(post, model=facts.upstream)
        case Kind.CHAT:
            return None
    return PromptEncoder(tokenizer, vocabulary.control_texts, separators=vocabulary.separators)
