"""ComfyUI-Remote-Upscale: pictures and clips go to remote upscalers and come back exact, and paid for once.

Importing this must stay next to free: ComfyUI imports it at every start.
"""
