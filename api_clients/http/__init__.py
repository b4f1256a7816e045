"""Everything that goes over the network to a provider or to a link that a provider gave."""

from .client import Http
from .download import Downloaded
from .partial_file import InUse, PartialFile
from .retry import RetryBudget

__all__ = ["Downloaded", "Http", "InUse", "PartialFile", "RetryBudget"]
