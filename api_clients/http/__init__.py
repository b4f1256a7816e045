"""Everything that goes over the network to a provider or to a link that a provider gave."""

from .client import Http
from .download import Downloaded, Partial

__all__ = ["Downloaded", "Http", "Partial"]
