"""Every provider and every model, by name. Adding a provider is one file and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from .errors import InvalidParameter
from .models import Model
from .providers.apixo import Apixo
from .providers.base import Provider
from .providers.fal import Fal
from .providers.pixazo import Pixazo
from .roots import Root

PROVIDERS: Mapping[str, type[Provider]] = MappingProxyType(
    {provider.name: provider for provider in (Pixazo, Apixo, Fal)}
)
ROOTS: Mapping[str, Root] = MappingProxyType(
    {root.name: root for provider in PROVIDERS.values() for root in provider.roots}
)
MODELS: Mapping[str, Model] = MappingProxyType(
    {model.id: model for provider in PROVIDERS.values() for model in provider.models}
)


def find_model(model_id: str, models: Mapping[str, Model] = MODELS) -> Model:
    """The model of that id.

    Raises:
        InvalidParameter: there is none; says which is meant, or which there are.
    """
    if model_id in models:
        return models[model_id]
    close = get_close_matches(model_id, models, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(models)}."
    raise InvalidParameter(f"There is no model {model_id[:80]}.", hint=hint)
