"""The ComfyUI layer: what turns tensors and clips into files for `api_clients`, and results back."""
