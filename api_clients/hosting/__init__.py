"""Putting an input where a provider can fetch it."""

from .host import Hosting, require_hosting
from .hosted import Hosted
from .public_url import check_public_url

__all__ = ["Hosted", "Hosting", "check_public_url", "require_hosting"]
