"""The frame of every job of the workflow: log, threads, parameters, and errors as one sentence."""

from __future__ import annotations

import atexit
import gc
import json
import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
from threadpoolctl import threadpool_limits

from zsad.errors import DamagedFileError, DataError, ZsadError
from zsad.errors.boundary import is_debugged, sentence_of, with_traceback
from zsad.errors.sections import DATASET, naming
from zsad.files.provenance import stage_provenance
from zsad.progress import is_watched
from zsad.timing import described
from zsad.workflow.gpus import own_gpus

if TYPE_CHECKING:
    from snakemake.iocontainers import Snakemake

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

MODEL = "model"  # name of the input with a method's model
TEXTS = "texts"  # name of the input with its text embeddings
LEARNED = "learned"  # names of weights that the user gave by path
TRAINED = "trained"  # name of the weights learned from the auxiliary data set
UNSEEN = "unseen"  # name of the check that no scored image was learned from
MANIFEST, ORIGINS = "_manifest", "_origins"  # suffixes of the inputs about synthetic images, by role
FOREGROUND = "foreground_"  # prefix of inputs with foreground masks

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What a script passes to the library.

    Attributes:
        cfg: the parameters of the stage, from the rule's ``params.cfg``.
        provenance: stage, parameters, code and library versions, stored with the result.
    """

    cfg: dict[str, Any]
    provenance: dict[str, Any]


@contextmanager
def job(snakemake: Snakemake) -> Iterator[Job]:
    """Run the block as a job: log to its file, limit its threads and GPUs, end on any error with one sentence.

    The log contains the traceback of an error that is not a `ZsadError`, and the times of the process.
    """
    start = time.process_time()
    atexit.register(gc.freeze)  # else Python visits all objects at exit, which takes most of a second with torch
    log = snakemake.log[0]
    try:
        _log_to(log)
        _limit_threads(snakemake.threads)
        cfg = json.loads(snakemake.params.cfg)
        code = json.loads(snakemake.params.code)
        logger.info("%s with %s", snakemake.rule, snakemake.params.cfg)
        section = getattr(snakemake.params, "section", DATASET)
        with own_gpus(snakemake.resources.get("gpu", 0)), naming(section):
            stage = getattr(snakemake.params, "stage", snakemake.rule)  # for a module, whose rules have other names
            yield Job(cfg=cfg, provenance=stage_provenance(stage, cfg, code=code))
    except Exception as error:
        sentence = _told(_without_damaged_input(error, _results_in(snakemake.input)), log)
        if not is_watched() or not _is_logged_to(log):
            print(f"zsad: {snakemake.rule}: {sentence}", file=sys.stderr)
        raise SystemExit(1) from None
    logger.info("%s", described(start, _processor_seconds()))
    logger.info("done")


def path_of(files: Any, name: str) -> Path | None:
    """An input or output by its name; None if the rule has none."""
    file = files.get(name)
    return Path(file) if file else None


def foregrounds_of(files: Any) -> dict[str, Path]:
    """The inputs with foreground masks, by the roles of their images."""
    masks = {name: Path(path) for name, path in files.items() if name.startswith(FOREGROUND)}
    return {name.removeprefix(FOREGROUND): path for name, path in masks.items()}


def features_of(files: Any) -> dict[str, Path]:
    """The inputs with features, by role: all but foreground masks, texts, models and weights."""
    others = {MODEL, TEXTS, LEARNED, TRAINED, UNSEEN}
    return {
        name: Path(path)
        for name, path in files.items()
        if name not in others and not name.startswith(FOREGROUND) and not name.endswith((MANIFEST, ORIGINS))
    }


def _processor_seconds() -> float:
    """Processor time of this process and of its finished children."""
    return sum(os.times()[:4])


def _results_in(files: Any) -> list[str]:
    """The inputs that a run makes: not those that the user gave by path."""
    given = files.get(LEARNED) or []
    return [path for path in files if path not in ([given] if isinstance(given, str) else list(given))]


def _without_damaged_input(error: Exception, inputs: Iterable[str]) -> Exception:
    """The error to report; a damaged result is removed, so that the next run makes it again."""
    if not isinstance(error, DamagedFileError) or str(error.path) not in set(inputs):
        return error
    try:
        error.path.unlink(missing_ok=True)  # for a shared file only the link
    except OSError:
        return error
    return DataError(f"{error.path} {error.fault}; it was removed, and the next run makes it again")


def _told(error: Exception, log: str) -> str:
    """The sentence of an error, the last line of the log; the traceback is logged before it if it helps."""
    if not isinstance(error, ZsadError):
        logger.info("the traceback of the error below", exc_info=error)
        if is_debugged():
            print(with_traceback(error), file=sys.stderr)
    place = "its log" if is_watched() else log  # the watching process names the log, and prints equal sentences once
    sentence = sentence_of(error, traceback_in=place if _is_logged_to(log) else None)
    logger.error("%s", sentence)
    return sentence


def _is_logged_to(path: str) -> bool:
    """Whether the log could be opened."""
    handlers = logging.getLogger().handlers
    place = os.path.abspath(path)  # noqa: PTH100
    return any(isinstance(handler, logging.FileHandler) and handler.baseFilename == place for handler in handlers)


def _log_to(path: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=path,
        filemode="w",
        encoding="utf-8",
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        force=True,
    )
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # a full disk is reported by the failed output, not by every log line


def _limit_threads(threads: int) -> None:
    """Limit the threads to the job's: a node may have many more cores, with other jobs on them."""
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))  # for libraries and processes that start later
    threadpool_limits(threads)
    cv2.setNumThreads(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
