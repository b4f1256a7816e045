"""One file for each provider: its protocol and its models."""
