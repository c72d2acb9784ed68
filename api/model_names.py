"""The model names of one service: the loaded model's, and its LoRA adapters'.

Owns: what a request's `model` means, for every dialect. Does not own: how a dialect words its 404.
"""

from dataclasses import dataclass

from api.errors import unknown_model


@dataclass(frozen=True, slots=True)
class ModelNames:
    """What `model` may say. `base` is the loaded model; each of `adapters` is that model with a LoRA adapter."""

    base: str
    adapters: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Every name, the base first, as `GET /v1/models` lists them."""
        return (self.base, *self.adapters)

    def find_adapter(self, asked: str | None) -> str | None:
        """Give what goes into `SamplingOptions.adapter`: None for the model itself, and when nothing was asked for.

        Raises the 404 of an unknown name.
        """
        if asked is None or asked == self.base:
            return None
        if asked not in self.adapters:
            raise unknown_model(asked, self.all)
        return asked

    def name_of(self, adapter: str | None) -> str:
        """Give the name a reply carries, from its `SamplingOptions.adapter`."""
        return adapter or self.base
