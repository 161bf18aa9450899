"""dino.txt's text encoder: sentences as vectors in the space of DINOv3's images (Jose et al., CVPR 2025)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from zsad.errors import ModelError
from zsad.models.checkpoint import FoundCheckpoint
from zsad.models.config_files import silence_libraries
from zsad.models.dinotxt.facts import TOKENIZER, head_needed
from zsad.models.dinotxt.head_file import TextPart, check_width, read_head_file
from zsad.models.dinotxt.networks import TextNetwork
from zsad.models.hub import check_weights
from zsad.models.texts.base import TextModel
from zsad.models.texts.batched import BatchedTexts
from zsad.models.texts.clip import TOKENIZER_FILES, clip_tokenizer, clip_tokens
from zsad.models.texts.tokenizers import Tokenizer, locate_tokenizer

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

PADDING = 0  # token; tokens after the end of a text have no effect on it


class DinoTxtTexts(BatchedTexts):
    """dino.txt's text encoder; made by `load_texts`.

    The first half of an embedding is compared with the class token of an image, the second with its patches.
    """

    def __init__(
        self, network: TextNetwork, part: TextPart, tokenizer: CLIPTokenizer, *, device: str, model: dict[str, Any]
    ) -> None:
        super().__init__(
            channels=part.projected,
            patch_part=(part.projected // 2, part.projected),
            longest=part.longest,
            device=device,
            model=model,
        )
        self._network = network
        self._tokenizer = tokenizer

    def _tokens(self, text: str) -> list[int]:
        return clip_tokens(self._tokenizer, text)

    def _embedded(self, tokens: list[list[int]]) -> np.ndarray:
        longest = max(map(len, tokens))
        padded = torch.tensor([[*text, *[PADDING] * (longest - len(text))] for text in tokens], device=self.device)
        # A text that contains the end token literally has it twice; the authors' code uses the first.
        ends = torch.tensor([text.index(self._tokenizer.eos_token_id) for text in tokens], device=self.device)
        with torch.inference_mode():
            embeddings: np.ndarray = self._network(padded, ends).cpu().numpy()
        return embeddings


def load_texts(wanted: TextModel, found: FoundCheckpoint, device: str) -> DinoTxtTexts:
    """Load dino.txt's text encoder, and CLIP's tokenizer; no weights of DINOv3 itself are read.

    Args:
        wanted: the model, its head and its tokenizer.
        found: its checkpoint, of DINOv3.
        device: of torch, such as ``"cpu"`` or ``"cuda"``.

    Raises:
        ConfigError: there is no ``head``.
        ModelError: the head is missing, damaged or for another backbone, or the tokenizer is missing or of another
            model.
    """
    name = found.name
    if wanted.head is None:
        raise head_needed(name)
    silence_libraries()
    path = Path(wanted.head)
    file = read_head_file(path)
    check_width(file, path, found.config().hidden_size, name)
    place = locate_tokenizer(wanted._replace(tokenizer=wanted.tokenizer or TOKENIZER), found, TOKENIZER_FILES)
    tokenizer = clip_tokenizer(place, name)
    _check_vocabulary(tokenizer, place, file.text, path)
    digests = check_weights([path], None, str(path))
    network = file.text.network().to(device)
    model = {"id": name, "revision": found.commit, "weights_sha256": digests, **place.provenance}
    return DinoTxtTexts(network, file.text, tokenizer, device=device, model=model)


def _check_vocabulary(tokenizer: CLIPTokenizer, place: Tokenizer, part: TextPart, path: Path) -> None:
    """Reject a tokenizer that does not match the embeddings, the last of which is the end of a text."""
    if (len(tokenizer), tokenizer.eos_token_id) != (part.vocabulary, part.vocabulary - 1):
        raise ModelError(
            f"the tokenizer '{place.named}' is not that of {path} ({len(tokenizer)} tokens, the last of a text "
            f"{tokenizer.eos_token_id}, for {part.vocabulary} and {part.vocabulary - 1}); {place.remedy}"
        )
