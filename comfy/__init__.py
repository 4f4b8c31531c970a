"""ComfyUI nodes of sonimate. ComfyUI imports this folder as a custom node and calls `comfy_entrypoint`."""

from .nodes import comfy_entrypoint

__all__ = ["comfy_entrypoint"]
