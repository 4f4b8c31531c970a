"""How released checkpoints name the tensors of our components, as data; `KeyMap.rename` applies it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class KeyMap:
    """Differences between a file's tensor names and its component's. The default is none.

    wrappers: keys under which training programs put the whole state dict; one is looked through if present.
    prefixes: the first that the names carry is taken off, from all names or from none.
    drops_others: names without the prefix belong to other components and are left out.
    ignored: names that older library versions stored beside the weights and nothing needs.
    """

    wrappers: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    drops_others: bool = False
    ignored: tuple[str, ...] = ()

    def rename(self, names: Iterable[str]) -> dict[str, str]:
        """The component's name -> the file's name, in the file's order."""
        kept = [name for name in names if name not in self.ignored]
        holds = any if self.drops_others else all
        for prefix in self.prefixes:
            if kept and holds(name.startswith(prefix) for name in kept):
                return {name.removeprefix(prefix): name for name in kept if name.startswith(prefix)}
        return {name: name for name in kept}


_TRAINED = KeyMap(wrappers=("state_dict",), prefixes=("module.",))
"""The release's own files are plain (NOTES 3.1); networks that were trained further often are not."""

KEY_MAPS = {
    "unet": _TRAINED,
    "audio_to_tokens": _TRAINED,
    "audio_to_bucket": _TRAINED,
    "image_encoder": KeyMap(ignored=("vision_model.embeddings.position_ids",)),
    "audio_encoder": KeyMap(prefixes=("model.encoder.", "encoder."), drops_others=True),
    "vae": KeyMap(),
    "interpolator": KeyMap(prefixes=("module.",), drops_others=True),  # NOTES 5.1
}
"""By component."""
