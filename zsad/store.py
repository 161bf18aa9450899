"""The result files that the stages hand to each other: features, scores and masks in HDF5, and JSON.

Every file is written under a temporary name in its own folder and renamed when it is whole, so that a killed job
leaves nothing that looks finished. Every HDF5 file has the attributes ``format`` and ``provenance`` (JSON), and carries
digests of its bytes (`zsad.digests`); a JSON file has one of its content. They are checked when it is read.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np

from zsad.digests import CheckedFile, append_digests
from zsad.errors import DamagedFileError, DataError, first_line
from zsad.provenance import canonical_json
from zsad.system_errors import is_of_writing, system_sentence

FEATURES_FORMAT = "zsad-features-2"
EMBEDDINGS_FORMAT = "zsad-embeddings-2"
SCORES_FORMAT = "zsad-scores-3"
MASKS_FORMAT = "zsad-masks-2"
DRAWS_FORMAT = "zsad-draws-2"
DIGEST = "digest"  # the key of a JSON file under which that of all others stands

PIECE = 1 << 16  # bytes, from which on what is written at once has blocks of its own among the digests
CHUNK_ENTRY = 64  # bytes that a file takes to list a chunk, at most
CHUNK_WASTE = 1.25  # times its content, which chunks may take
CHUNK_SIDES = (1, 2, 4, 8, 16, 32)  # that are tried, in patches, beside those of some grids
CHUNK_TRIALS = 32

MEAN = "mean"  # stands in the tables for a category: the mean over all
MEAN_TEXTURES, MEAN_OBJECTS = "mean textures", "mean objects"  # likewise: the mean over those of a kind
MEANS = (MEAN, MEAN_TEXTURES, MEAN_OBJECTS)
ALL_TYPES = "all types"  # stands for a type of defect: all images, good ones too
ORACLE = "oracle"  # stands for a method: prompts from the ground truth, a ceiling and no method
NO_REFINER = "none"  # stands for a refiner: the thresholded map itself
PER_IMAGE = "total per image"  # stands in the costs for a stage: all that one more test image takes
REFERENCES = "references"  # likewise: what is done once, with other images


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` on success, remove it on failure.

    What an earlier, killed attempt at the same file left behind is removed first.

    Raises:
        DataError: the disk has no space or no inode for it, fails, or may not be written to.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for stale in path.parent.glob(f".{path.name}.*.tmp"):
        stale.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with open(temporary, "rb") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        # Of other files than this one the block itself knows more.
        sentence = system_sentence(error, path) if is_of_writing(error, temporary) else None
        if sentence is None:
            raise
        raise DataError(sentence) from None
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file whole or not at all (UTF-8, Unix line ends)."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, value: Mapping[str, Any]) -> None:
    """Write a result as JSON whole or not at all, with its digest; NaN and infinity are written as ``null``."""
    document = {key: item for key, item in _without_nan(value).items() if key != DIGEST}
    document[DIGEST] = _json_digest(document)
    write_text(path, json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_foreign_json(path: str | Path) -> Any:
    """Read a JSON file that no stage wrote.

    Raises:
        DataError: the file is absent or not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; run the step that makes it") from None
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(Path(path), f"is not valid JSON ({error})") from None


def read_json(path: str | Path) -> dict[str, Any]:
    """Read what `write_json` wrote.

    Raises:
        DataError: absent, or its content is not what was written.
    """
    document = read_foreign_json(path)
    if not isinstance(document, dict) or DIGEST not in document:
        raise DamagedFileError(Path(path), "is not a result of this version (it has no digest of its content)")
    digest = document.pop(DIGEST)
    try:
        agrees = digest == _json_digest(document)
    except ValueError:  # NaN, which we do not write
        agrees = False
    if not agrees:
        raise DamagedFileError(Path(path), "is damaged or was edited (its content does not agree with its digest)")
    return document


def _json_digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(document).encode()).hexdigest()


def read_evaluation(path: str | Path, keys: Iterable[str]) -> dict[str, Any]:
    """Read the JSON file of an evaluation.

    Raises:
        DataError: absent, damaged, or without one of the ``keys``.
    """
    document = read_json(path)
    missing = [key for key in keys if key not in document]
    if missing:
        raise DamagedFileError(Path(path), f"is no evaluation (it lacks {', '.join(missing)})")
    return document


def number(value: float | None) -> float:
    """A number of a JSON file, in which NaN is written as ``null``."""
    return math.nan if value is None else float(value)


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _without_nan(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


class _Reader:
    """An open HDF5 result file; a context manager."""

    _format: str  # empty for any
    _noun: str
    _has_images = True

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._bytes = CheckedFile(self.path)
        self._datasets: dict[str, h5py.Dataset] = {}  # to open one takes longer than to read a little of it
        try:
            with self._damage_told():
                self._file = h5py.File(self._bytes, "r")
                found = self._file.attrs.get("format")
                if self._format and found != self._format:
                    raise DamagedFileError(
                        self.path, f"is no {self._noun} file (format {found!r}, expected {self._format!r})"
                    )
                _refuse_strangers(self._file)
                self.image_ids: list[str] = self._file["image_id"].asstr()[:].tolist() if self._has_images else []
                self.provenance: dict[str, Any] = json.loads(self._file.attrs["provenance"])
                self._load()
        except BaseException:
            self.close()
            raise

    def _load(self) -> None:
        """Read what is small, whole."""

    def check(self) -> None:
        """Check what has not been read yet, too.

        Raises:
            DamagedFileError: a part is not what its writer wrote.
        """
        self._bytes.check()

    def _read(self, name: str, place: Any) -> Any:
        """A part of a dataset."""
        with self._damage_told():
            if name not in self._datasets:
                self._datasets[name] = self._file[name]
            return self._datasets[name][place]

    @contextmanager
    def _damage_told(self) -> Iterator[None]:
        """Raise one sentence for whatever HDF5 makes of bytes that are not as they were written."""
        try:
            yield
        except DataError:
            raise
        except (OSError, KeyError, IndexError, ValueError, TypeError, AttributeError, RuntimeError) as error:
            fault = self._bytes.damage or f"is not a readable HDF5 file ({first_line(error)})"
            raise DamagedFileError(self.path, fault) from None

    def __len__(self) -> int:
        return len(self.image_ids)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if hasattr(self, "_file"):
            self._file.close()
        self._bytes.close()


def _refuse_strangers(group: h5py.Group) -> None:
    """Refuse what no stage writes and what may lead to other files, or claims more than there is."""
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{name} is a link")
        content = group.get(name)
        if isinstance(content, h5py.Group) and group.parent == group:
            _refuse_strangers(content)
        elif not isinstance(content, h5py.Dataset):
            raise ValueError(f"{name} is no dataset")
        elif content.external or content.is_virtual:
            raise ValueError(f"{name} lies in another file")
        elif content.chunks is None and content.id.get_storage_size() < content.nbytes:
            raise ValueError(f"{name} has no content")


class _Disk(io.FileIO):
    """A file for HDF5 to write to, which tells of an error once and then lets all be.

    The library itself loses in silence what it cannot write while it closes a file, and ends the process with it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self.failure: OSError | None = None
        self.pieces: set[int] = set()  # where much at once was written

    def write(self, data: Any) -> int:
        """Write all of it."""
        content = rest = memoryview(data).cast("B")
        if len(content) >= PIECE:
            self.pieces |= {self.tell(), self.tell() + len(content)}
        try:
            while rest and self.failure is None:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.failure = error
            raise
        return len(content)

    def truncate(self, size: int | None = None) -> int:
        """Set the size."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.failure = self.failure or error
            return size or 0


@contextmanager
def _written(path: Path) -> Iterator[h5py.File]:
    """A new HDF5 file, all of which is on the disk in the end; images go there at once, since each is a chunk."""
    with _Disk(path) as disk:
        try:
            with h5py.File(disk, "w", libver="latest", rdcc_nbytes=0) as file:
                yield file
        finally:
            if disk.failure is not None:
                raise disk.failure
    append_digests(path, disk.pieces)


class _Writer:
    """An HDF5 result file in the making; a context manager that keeps the file only if its block succeeds."""

    _format: str

    def __init__(self, path: str | Path, image_ids: Sequence[str], provenance: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.image_ids = list(image_ids)
        self.provenance = dict(provenance)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            temporary = stack.enter_context(atomic_path(self.path))
            self._file = stack.enter_context(_written(temporary))
            stack.push(lambda kind, *_: self._finish() if kind is None else None)
            self._file.attrs["format"] = self._format
            self._file.create_dataset("image_id", data=self.image_ids, dtype=h5py.string_dtype())
            self._create()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *failure: Any) -> None:
        self._stack.__exit__(*failure)

    def _finish(self) -> None:
        self._file.attrs["provenance"] = json.dumps(_without_nan(self.provenance), sort_keys=True)

    def _create(self) -> None:
        raise NotImplementedError


class FeatureWriter(_Writer):
    """Write patch and class tokens image by image.

    Images of different shapes have grids of different sizes: ``patch_tokens`` has the size of the largest grid, and
    image ``i`` fills its first ``grid_size[i]`` rows and columns; the rest is zero and takes no space.

    Args:
        layers: names of the layers, in order (block indices for a transformer, filter scales for ``embedded``).
        channels: width of a token.
        grid_sizes: int ``[image, 2]``, rows and columns of each image's patch grid.
        cls_source: what ``cls_tokens`` holds, ``"class token"`` or ``"mean of patch tokens"``.
    """

    _format = FEATURES_FORMAT

    def __init__(
        self,
        path: str | Path,
        image_ids: Sequence[str],
        provenance: Mapping[str, Any],
        *,
        layers: Sequence[str | int],
        channels: int,
        grid_sizes: np.ndarray,
        cls_source: str,
    ) -> None:
        super().__init__(path, image_ids, provenance)
        self.layers = [str(layer) for layer in layers]
        self.channels = channels
        self.grid_sizes = np.asarray(grid_sizes, dtype=np.int32).reshape(len(self.image_ids), 2)
        self.cls_source = cls_source

    def _create(self) -> None:
        rows, columns = self.grid_sizes.max(axis=0)
        layers, channels = len(self.layers), self.channels
        self._file.attrs["layers"] = self.layers
        self._file.attrs["cls_source"] = self.cls_source
        self._file.create_dataset("grid_size", data=self.grid_sizes)
        self._file.create_dataset(
            "patch_tokens",
            shape=(len(self.image_ids), layers, rows, columns, channels),
            dtype=np.float16,
            **_chunked(self.grid_sizes, before=(1, layers), after=(channels,), patch_bytes=2 * layers * channels),
        )
        self._file.create_dataset("cls_tokens", shape=(len(self.image_ids), layers, channels), dtype=np.float32)

    def write(self, index: int, patch_tokens: np.ndarray, cls_tokens: np.ndarray) -> None:
        """Store one image.

        Args:
            patch_tokens: ``[layer, row, column, channel]``, of the grid size announced for ``index``.
            cls_tokens: ``[layer, channel]``.

        Raises:
            DataError: a value is NaN or too large for float16.
        """
        rows, columns = self.grid_sizes[index]
        expected = (len(self.layers), rows, columns, self.channels)
        if patch_tokens.shape != expected:
            raise ValueError(f"patch_tokens of image {index} have shape {patch_tokens.shape}, expected {expected}")
        with np.errstate(over="ignore"):
            halves = patch_tokens.astype(np.float16)
        if _has_non_finite(halves) or not np.isfinite(cls_tokens).all():
            raise DataError(
                f"the features of {self.image_ids[index]} are not finite (not a number, or too large for float16); "
                "use dtype float32 or another model"
            )
        self._file["patch_tokens"][index, :, :rows, :columns] = halves
        self._file["cls_tokens"][index] = cls_tokens


def _chunked(
    grid_sizes: np.ndarray, *, before: tuple[int, ...], after: tuple[int, ...], patch_bytes: int
) -> dict[str, Any]:
    """How a dataset ``[*before, row, column, *after]`` is cut, so that it takes about the space of its content.

    HDF5 stores the pieces that something was written to. Where all grids are alike, each image is one.
    """
    rows, columns = (int(side) for side in grid_sizes.max(axis=0))
    height, width = _chunk_sides(grid_sizes, patch_bytes)
    settings: dict[str, Any] = {"chunks": (*before, height, width, *after)}
    if (height, width) != (rows, columns):  # with two such axes, HDF5 makes no list of all pieces that there might be
        settings["maxshape"] = (None, *before[1:], None, None, *after)
    return settings


def _chunk_sides(grid_sizes: np.ndarray, patch_bytes: int) -> tuple[int, int]:
    """The fewest chunks, by height and width in patches, that take little more space than what is in them."""
    grids = grid_sizes.astype(np.int64)
    rows, columns = grids.max(axis=0)
    content = int(grids.prod(axis=1).sum()) * patch_bytes

    def counted(height: int, width: int) -> int:
        return int((-(-grids[:, 0] // height) * -(-grids[:, 1] // width)).sum())

    def space(height: int, width: int) -> int:
        return counted(height, width) * (height * width * patch_bytes + CHUNK_ENTRY)

    heights, widths = (
        sorted({*CHUNK_SIDES, *np.unique(axis)[:CHUNK_TRIALS].tolist(), int(largest)})
        for axis, largest in zip(grids.T, (rows, columns), strict=True)
    )
    sides = [(height, width) for height in heights for width in widths if height <= rows and width <= columns]
    sparing = [each for each in sides if space(*each) <= CHUNK_WASTE * content]
    return min(sparing, key=lambda each: counted(*each)) if sparing else min(sides, key=lambda each: space(*each))


def _has_non_finite(halves: np.ndarray) -> bool:
    """Whether a float16 array holds NaN or infinity; by its bits, 20 times as fast as ``np.isfinite``."""
    return bool(((halves.view(np.uint16) & np.uint16(0x7FFF)) >= np.uint16(0x7C00)).any())


class FeatureReader(_Reader):
    """Read a feature file image by image.

    Args:
        foreground: the open masks of the part in these images, where the scorer asks for them.

    Attributes:
        image_ids: identifiers, in the order of the first axis.
        layers: names of the layers.
        channels: width of a token.
        cls_source: what `cls_tokens` are, ``"class token"`` or ``"mean of patch tokens"``.
        grid_sizes: int32 ``[image, 2]``, rows and columns of each image's patch grid.
        provenance: what made the file.
    """

    _format = FEATURES_FORMAT
    _noun = "feature"

    def __init__(self, path: str | Path, foreground: MaskReader | None = None) -> None:
        self.foreground = foreground
        super().__init__(path)

    def _load(self) -> None:
        self.layers: list[str] = [str(layer) for layer in self._file.attrs["layers"]]
        self.cls_source: str = str(self._file.attrs["cls_source"])
        self.grid_sizes: np.ndarray = self._file["grid_size"][:]
        self.channels: int = self._file["patch_tokens"].shape[-1]
        _require_grids(self.grid_sizes, self._file["patch_tokens"].shape[2:4])

    def patch_tokens(self, index: int) -> np.ndarray:
        """float32 ``[layer, row, column, channel]`` of one image, its own grid only."""
        return self.half_tokens(index).astype(np.float32)

    def half_tokens(self, index: int) -> np.ndarray:
        """The same as it is stored, float16."""
        rows, columns = self.grid_sizes[index]
        return self._read("patch_tokens", np.s_[index, :, :rows, :columns])

    def cls_tokens(self) -> np.ndarray:
        """float32 ``[image, layer, channel]``."""
        return self._read("cls_tokens", np.s_[:])

    def cls_tokens_of(self, index: int) -> np.ndarray:
        """The same of one image, float32 ``[layer, channel]``."""
        return self._read("cls_tokens", np.s_[index])


def _require_grids(grid_sizes: np.ndarray, largest: tuple[int, ...]) -> None:
    if len(grid_sizes) and (grid_sizes.min() < 1 or tuple(grid_sizes.max(axis=0).tolist()) != largest):
        raise ValueError("its grids are not those of its patches")


class EmbeddingWriter(_Writer):
    """Write what a promptable segmentation model makes of images, or of windows of images, one after the other.

    Args:
        image_ids: the image behind each entry; several entries may be windows of one image.
        windows: int ``[entry, 4]``, the ``(left, top, right, bottom)`` of each in pixels, right and bottom exclusive.
        shapes: of the arrays of one embedding.
    """

    _format = EMBEDDINGS_FORMAT

    def __init__(
        self,
        path: str | Path,
        image_ids: Sequence[str],
        provenance: Mapping[str, Any],
        *,
        windows: np.ndarray,
        shapes: Sequence[tuple[int, ...]],
    ) -> None:
        super().__init__(path, image_ids, provenance)
        self.windows = np.asarray(windows, dtype=np.int32).reshape(len(self.image_ids), 4)
        self.shapes = list(shapes)

    def _create(self) -> None:
        self._file.attrs["arrays"] = len(self.shapes)
        self._file.create_dataset("window", data=self.windows)
        for place, shape in enumerate(self.shapes):
            self._file.create_dataset(
                f"embedding{place}",
                shape=(len(self.image_ids), *shape),
                dtype=np.float16,
                chunks=(1, *shape) if self.image_ids else None,
            )

        self._written: set[int] = set()

    def write(self, index: int, embedding: Sequence[np.ndarray]) -> None:
        """Store one embedding, float16 arrays of the announced shapes."""
        self._written.add(index)
        for place, (array, shape) in enumerate(zip(embedding, self.shapes, strict=True)):
            if array.shape != shape or array.dtype != np.float16:
                raise ValueError(f"array {place} of entry {index} is {array.dtype} {array.shape}, expected {shape}")
            self._file[f"embedding{place}"][index] = array

    def _finish(self) -> None:
        if len(self._written) != len(self.image_ids):
            raise ValueError(f"{len(self._written)} embeddings written, {len(self.image_ids)} announced")
        super()._finish()


class EmbeddingReader(_Reader):
    """Read embeddings one by one.

    Attributes:
        image_ids: the image behind each entry.
        windows: int32 ``[entry, 4]``, ``(left, top, right, bottom)`` in pixels.
    """

    _format = EMBEDDINGS_FORMAT
    _noun = "embedding"

    def _load(self) -> None:
        self.windows: np.ndarray = self._file["window"][:]
        self._arrays = int(self._file.attrs["arrays"])
        self._places = {
            (image_id, *(int(side) for side in window)): index
            for index, (image_id, window) in enumerate(zip(self.image_ids, self.windows, strict=True))
        }

    def find(self, image_id: str, window: tuple[int, int, int, int]) -> tuple[np.ndarray, ...]:
        """The embedding of a window of an image, float16 arrays.

        Raises:
            DataError: the file has none of it.
        """
        index = self._places.get((image_id, *window))
        if index is None:
            raise DamagedFileError(self.path, f"has no embedding of {image_id} at {window}")
        return self.embedding(index)

    def embedding(self, index: int) -> tuple[np.ndarray, ...]:
        """The embedding of one entry, float16 arrays."""
        return tuple(self._read(f"embedding{place}", index) for place in range(self._arrays))


class ScoreWriter(_Writer):
    """Write anomaly maps and image scores.

    Args:
        grid_sizes: int ``[image, 2]``; beyond its own grid an image's map is NaN.
        setting: one of the settings of DESIGN, e.g. ``"zero-shot-single"``.
        localises: False where a method scores images alone; each map then holds its image's score everywhere.
    """

    _format = SCORES_FORMAT

    def __init__(
        self,
        path: str | Path,
        image_ids: Sequence[str],
        provenance: Mapping[str, Any],
        *,
        grid_sizes: np.ndarray,
        setting: str,
        localises: bool = True,
    ) -> None:
        super().__init__(path, image_ids, provenance)
        self.grid_sizes = np.asarray(grid_sizes, dtype=np.int32).reshape(len(self.image_ids), 2)
        self.setting = setting
        self.localises = localises

    def _create(self) -> None:
        count = len(self.image_ids)
        rows, columns = self.grid_sizes.max(axis=0)
        self._file.attrs["setting"] = self.setting
        self._file.attrs["localises"] = self.localises
        self._file.create_dataset("grid_size", data=self.grid_sizes)
        self._file.create_dataset(
            "anomaly_map",
            shape=(count, rows, columns),
            dtype=np.float32,
            fillvalue=np.nan,
            **_chunked(self.grid_sizes, before=(1,), after=(), patch_bytes=4),
        )
        for name in ("image_score", "seconds"):
            self._file.create_dataset(name, shape=(count,), dtype=np.float32, fillvalue=np.nan)
        self._file.create_dataset("note", shape=(count,), dtype=h5py.string_dtype())

    def write(
        self, index: int, anomaly_map: np.ndarray, image_score: float, *, seconds: float = np.nan, note: str = ""
    ) -> None:
        """Store one image's map (float ``[row, column]``), score, seconds spent on it, and a note (may be empty)."""
        rows, columns = self.grid_sizes[index]
        if anomaly_map.shape != (rows, columns):
            raise ValueError(f"map {index} has shape {anomaly_map.shape}, expected {(rows, columns)}")
        if not (np.isfinite(anomaly_map).all() and np.isfinite(image_score)):
            raise DataError(f"the score of {self.image_ids[index]} is not finite")
        self._file["anomaly_map"][index, :rows, :columns] = anomaly_map
        self._file["image_score"][index] = image_score
        self._file["seconds"][index] = seconds
        self._file["note"][index] = note

    def write_thresholds(self, pixel: float, image: float) -> None:
        """Store the label-free thresholds: ``pixel`` in the unit of the maps, for masks; ``image`` for decisions.

        NaN for ``image`` says that an image is called defective if any of its pixels is marked.
        """
        self._file.attrs["threshold"] = float(pixel)
        self._file.attrs["image_threshold"] = float(image)


class ScoreReader(_Reader):
    """Read anomaly maps and image scores.

    Attributes:
        setting: how much the method may see, e.g. ``"zero-shot-batch"``.
        localises: whether the maps say where a defect is; otherwise each holds its image's score everywhere.
        threshold: label-free threshold for the values of maps; infinite where the method does not localise.
        image_threshold: label-free threshold for image scores; NaN where an image is defective if a pixel is marked.
        image_scores: float32 ``[image]``, greater is more anomalous.
        seconds: float32 ``[image]``, scoring time (a batch method's time is shared out evenly).
        notes: one remark an image, usually empty.
        grid_sizes: int32 ``[image, 2]``.
    """

    _format = SCORES_FORMAT
    _noun = "score"

    def _load(self) -> None:
        self.setting = str(self._file.attrs["setting"])
        self.localises = bool(self._file.attrs["localises"])
        self.threshold = float(self._file.attrs["threshold"])
        self.image_threshold = float(self._file.attrs["image_threshold"])
        self.image_scores: np.ndarray = self._file["image_score"][:]
        self.seconds: np.ndarray = self._file["seconds"][:]
        self.notes: list[str] = self._file["note"].asstr()[:].tolist()
        self.grid_sizes: np.ndarray = self._file["grid_size"][:]
        _require_grids(self.grid_sizes, self._file["anomaly_map"].shape[1:])

    def anomaly_map(self, index: int) -> np.ndarray:
        """float32 ``[row, column]`` of one image on its own patch grid."""
        rows, columns = self.grid_sizes[index]
        return self._read("anomaly_map", np.s_[index, :rows, :columns])


class MaskWriter(_Writer):
    """Write binary masks, each at its image's own resolution, one after the other in order."""

    _format = MASKS_FORMAT

    def _create(self) -> None:
        count = len(self.image_ids)
        self._file.create_dataset(
            "packed",
            shape=(0,),
            maxshape=(None,),
            dtype=np.uint8,
            chunks=(1 << 16,),
            compression="gzip",
            rdcc_nbytes=1 << 20,  # several masks share a chunk
        )
        self._file.create_dataset("offset", data=np.zeros(count + 1, dtype=np.int64))
        self._file.create_dataset("size", data=np.zeros((count, 2), dtype=np.int32))
        self._file.create_dataset("mask_score", shape=(count,), dtype=np.float32, fillvalue=np.nan)
        self._file.create_dataset("regions", shape=(count,), dtype=h5py.string_dtype())
        self._next = 0

    def append(self, mask: np.ndarray, mask_score: float, regions: Sequence[Mapping[str, Any]]) -> None:
        """Store the next image's mask.

        Args:
            mask: bool ``[height, width]`` at the image's resolution.
            mask_score: greatest anomaly score under the mask; 0 for an empty mask.
            regions: a JSON object for each region: what prompted it (box, points, score), whether it was accepted, why.
        """
        bits = np.packbits(mask.astype(bool, copy=False), axis=None)
        packed, start = self._file["packed"], self._file["packed"].shape[0]
        packed.resize((start + bits.size,))
        packed[start:] = bits
        self._file["offset"][self._next + 1] = start + bits.size
        self._file["size"][self._next] = mask.shape
        self._file["mask_score"][self._next] = mask_score
        self._file["regions"][self._next] = json.dumps(_without_nan(list(regions)), sort_keys=True)
        self._next += 1

    def _finish(self) -> None:
        if self._next != len(self.image_ids):
            raise ValueError(f"{self._next} masks written, {len(self.image_ids)} announced")
        super()._finish()


class MaskReader(_Reader):
    """Read binary masks.

    Attributes:
        sizes: int32 ``[image, 2]``, height and width.
        mask_scores: float32 ``[image]``.
    """

    _format = MASKS_FORMAT
    _noun = "mask"

    def _load(self) -> None:
        self.sizes: np.ndarray = self._file["size"][:]
        self.mask_scores: np.ndarray = self._file["mask_score"][:]
        self._offsets: np.ndarray = self._file["offset"][:]

    def mask(self, index: int) -> np.ndarray:
        """bool ``[height, width]`` of one image."""
        height, width = self.sizes[index]
        bits = self._read("packed", np.s_[self._offsets[index] : self._offsets[index + 1]])
        return np.unpackbits(bits, count=int(height) * int(width)).reshape(height, width).astype(bool)

    def regions(self, index: int) -> list[dict[str, Any]]:
        """The regions of one image: prompt, score, accepted or not."""
        with self._damage_told():
            return json.loads(self._file["regions"].asstr()[index])


def write_draws(path: str | Path, draws: Mapping[str, np.ndarray], provenance: Mapping[str, Any]) -> None:
    """Write the metrics of bootstrap draws, float64 ``[draw]`` by name, as HDF5."""
    with atomic_path(path) as temporary:
        _write_draws(temporary, draws, provenance)


def write_evaluation(
    path: str | Path, evaluation: Mapping[str, Any], draws_path: str | Path | None, draws: Mapping[str, np.ndarray]
) -> None:
    """Write an evaluation as JSON and, with a path for them, its draws as `write_draws` does: both or neither."""
    if draws_path is None:
        write_json(path, evaluation)
        return
    with atomic_path(draws_path) as temporary:
        _write_draws(temporary, draws, evaluation["provenance"])
        write_json(path, evaluation)


def _write_draws(path: Path, draws: Mapping[str, np.ndarray], provenance: Mapping[str, Any]) -> None:
    with _written(path) as file:
        file.attrs["format"] = DRAWS_FORMAT
        file.attrs["provenance"] = json.dumps(_without_nan(dict(provenance)), sort_keys=True)
        group = file.create_group("draws")
        for name, values in draws.items():
            group.create_dataset(name, data=np.asarray(values, np.float64))


def read_draws(path: str | Path) -> dict[str, np.ndarray]:
    """Read the metrics of bootstrap draws, float64 ``[draw]`` by name.

    Raises:
        DataError: absent, damaged, or another kind of file.
    """
    with _DrawsReader(path) as reader:
        return reader.draws


class _DrawsReader(_Reader):
    _format = DRAWS_FORMAT
    _noun = "draws"
    _has_images = False

    def _load(self) -> None:
        self.draws: dict[str, np.ndarray] = {name: values[:] for name, values in self._file["draws"].items()}


def read_provenance(path: str | Path) -> dict[str, Any]:
    """What made a result in HDF5, of whatever kind.

    Raises:
        DataError: absent or damaged, as far as it needs to be read for that.
    """
    with _AnyReader(path) as reader:
        return reader.provenance


class _AnyReader(_Reader):
    _format = ""
    _noun = "result"
    _has_images = False
