"""Models on the Hugging Face hub: fetched into its cache by owner/name, and pushed as repositories."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from huggingface_hub import HfApi, ModelCard, ModelCardData
from huggingface_hub import errors as hub

from sonimate.checkpoints.download import explained
from sonimate.checkpoints.registry import CONFIG, INDEX, PIPELINE, read_index
from sonimate.errors import UnknownModel

FILES = (INDEX, f"*/{CONFIG}", "*/*.safetensors")
"""What a model needs of its repository."""

PIPELINE_FILE = "pipeline.py"
"""Where diffusers looks for a repository's own pipeline."""

CARD = f"""
# {{name}}

A model of sonimate: one portrait and one voice recording become a
talking video.

```python
from sonimate.pipeline import {PIPELINE}

{PIPELINE}.from_pretrained("{{repo_id}}").animate("portrait.jpg", "voice.wav").save("talking.mp4")
```
"""


def hub_model(repo_id: str, revision: str | None = None) -> Path:
    """The folder of a model in the hub's cache, fetched where it is not there yet.

    HF_ENDPOINT, HF_TOKEN, HF_HOME and HF_HUB_OFFLINE have their usual meaning; a cached model needs no
    network. Raises UnknownModel, HubUnreachable, HubRefused.
    """
    api = HfApi(library_name="sonimate", library_version=version("sonimate"))
    with explained(repo_id, api):
        try:
            folder = Path(api.snapshot_download(repo_id, revision=revision, allow_patterns=list(FILES)))
        except hub.GatedRepoError:  # a kind of RepositoryNotFoundError
            raise
        except (hub.RepositoryNotFoundError, hub.RevisionNotFoundError) as error:
            raise UnknownModel(
                f"There is no folder {repo_id} here, and the hub shows no such model"
                f"{f' at revision {revision}' if revision else ''}. Check the name; a private model needs "
                "HF_TOKEN, or `hf auth login`."
            ) from error
    if not (folder / INDEX).is_file():
        raise UnknownModel(f"{repo_id} on the hub has no {INDEX}: it is not a model that sonimate can load.")
    return folder


def push_model(
    save: Callable[[Path], object],
    repo_id: str,
    *,
    card: str | None = None,
    private: bool = False,
    revision: str | None = None,
    token: str | None = None,
) -> str:
    """Push the model that `save` writes into a folder, with a card and diffusers' custom pipeline file.

    card: markdown of README.md, with or without the hub's metadata. Returns the address of the commit.
    Raises HubUnreachable, HubRefused.
    """
    api = HfApi(token=token, library_name="sonimate", library_version=version("sonimate"))
    with tempfile.TemporaryDirectory() as folder, explained(repo_id, api):
        save(Path(folder))
        Path(folder, "README.md").write_text(str(model_card(repo_id, card)), encoding="utf-8")
        source = Path(__file__).parents[1].joinpath("apps", "hub_pipeline.py").read_text(encoding="utf-8")
        Path(folder, PIPELINE_FILE).write_text(source, encoding="utf-8")
        write_component_files(Path(folder))
        api.create_repo(repo_id, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo_id, folder_path=folder, revision=revision, commit_message="A model of sonimate"
        )
    return str(commit.commit_url)


def write_component_files(folder: Path) -> None:
    """Write FOLDER/COMPONENT/LIBRARY.py for components of sonimate, in which diffusers looks for classes of
    libraries that it does not know: without these files it refuses a repository."""
    for part in read_index(folder):
        if part.library == "sonimate":
            module, name = part.network.split(":")
            file = folder / part.name / f"{part.library}.py"
            file.write_text(f"from {module} import {name} as {part.class_name}\n", encoding="utf-8")


def model_card(repo_id: str, text: str | None = None) -> ModelCard:
    """A card with the hub's metadata; `text` keeps its own where it has some."""
    card = ModelCard(text or CARD.format(name=repo_id.split("/")[-1], repo_id=repo_id))
    given = card.data.to_dict()
    ours = {
        "library_name": "sonimate",
        "pipeline_tag": "image-to-video",
        "tags": ["talking-head", "audio-driven", "portrait-animation", "sonic"],
    }
    card.data = ModelCardData(**(ours | given))
    return card
