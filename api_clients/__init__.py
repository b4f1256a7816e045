"""From files to remote results: providers, engine, ledger, command line. No torch, no ComfyUI."""
