"""Tensors to files and back: exact where the format allows it, said in words where not. No ComfyUI."""
