"""``python -m remote_upscale`` is the same as the ``remote-upscale`` command."""

from .api_clients.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
