"""What can go wrong between a conversation and its reply, as classes that carry data.

How each is said over HTTP stands in `api/errors.py`; nothing here knows a status code.
"""


class GenerationError(Exception):
    """Base of every error of this package."""


class ModelError(GenerationError):
    """The model cannot be used at all: missing file, not a GGUF, too little memory, no network.

    `str(error)` is one line for the operator that says what to do.
    """


class EngineUnavailableError(GenerationError):
    """The engine is starting, restarting or died during the request.

    `reason` is a short phrase for people; `retry_after_seconds` says when another try makes sense.
    """

    def __init__(self, reason: str, *, retry_after_seconds: int = 5) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class PromptTooLongError(GenerationError):
    """The system message and the last user message alone exceed the context. Both numbers are in tokens.

    `is_whole` says that all of the conversation was counted, because nothing of it may be left out.
    """

    def __init__(self, *, prompt_tokens: int, limit_tokens: int, is_whole: bool = False) -> None:
        super().__init__(f"{prompt_tokens} tokens, limit {limit_tokens}")
        self.is_whole = is_whole
        self.prompt_tokens = prompt_tokens
        self.limit_tokens = limit_tokens


class TemplateRefusedError(GenerationError):
    """The model's chat template does not take this order of roles."""


class ContinuingRefusedError(TemplateRefusedError):
    """The engine cannot go on with a reply that was begun."""


class RequestRefusedError(GenerationError):
    """A server that is not ours took the request for a bad one, and did not say which of its options is to blame."""


class UnknownAdapterError(GenerationError):
    """No LoRA adapter of this name is loaded. Whoever asks the engine knows the names: the service refuses before."""


class ToolsRefusedError(GenerationError):
    """The model cannot be told of these tools; `problem` says why in a phrase."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class FormatRefusedError(GenerationError):
    """The engine cannot constrain a reply to the requested JSON Schema; `problem` says why in a phrase."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
