"""A handful of good small instruction-tuned models, as data for people who look for one.

Sizes are those of the files named, 10**9 bytes; memory is what Parley needs with its default context and slots
(weights, KV cache of 4 x 4,096 tokens, and working space). Licences as the model cards state them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendedModel:
    """One model: where it is, what it costs, what it is good for. Gigabytes are 10**9 bytes."""

    spec: str
    parameters_billion: float
    download_gigabytes: float
    memory_gigabytes: float
    licence: str
    remark: str


RECOMMENDED = (
    RecommendedModel(
        spec="hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF/qwen2.5-0.5b-instruct-q4_k_m.gguf",
        parameters_billion=0.5,
        download_gigabytes=0.5,
        memory_gigabytes=1.0,
        licence="Apache-2.0",
        remark="fast on any machine, simple talk in many languages",
    ),
    RecommendedModel(
        spec="hf:bartowski/Llama-3.2-1B-Instruct-GGUF/Llama-3.2-1B-Instruct-Q4_K_M.gguf",
        parameters_billion=1.2,
        download_gigabytes=0.8,
        memory_gigabytes=1.6,
        licence="Llama 3.2 Community License",
        remark="fast, good English for its size",
    ),
    RecommendedModel(
        spec="hf:Qwen/Qwen2.5-1.5B-Instruct-GGUF/qwen2.5-1.5b-instruct-q4_k_m.gguf",
        parameters_billion=1.5,
        download_gigabytes=1.1,
        memory_gigabytes=1.9,
        licence="Apache-2.0",
        remark="the place to start: follows instructions and JSON well on two cores",
    ),
    RecommendedModel(
        spec="hf:HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF/smollm2-1.7b-instruct-q4_k_m.gguf",
        parameters_billion=1.7,
        download_gigabytes=1.1,
        memory_gigabytes=4.6,
        licence="Apache-2.0",
        remark="openly documented training data, English only; its long memory costs much room",
    ),
    RecommendedModel(
        spec="hf:bartowski/Llama-3.2-3B-Instruct-GGUF/Llama-3.2-3B-Instruct-Q4_K_M.gguf",
        parameters_billion=3.2,
        download_gigabytes=2.0,
        memory_gigabytes=4.2,
        licence="Llama 3.2 Community License",
        remark="pleasant conversation, for four cores and up",
    ),
    RecommendedModel(
        spec="hf:Qwen/Qwen3-4B-GGUF/Qwen3-4B-Q4_K_M.gguf",
        parameters_billion=4.0,
        download_gigabytes=2.5,
        memory_gigabytes=5.3,
        licence="Apache-2.0",
        remark="the most able here, for eight cores or a GPU",
    ),
)
