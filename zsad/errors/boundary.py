"""Convert any exception to one sentence for the user.

Stages raise expected errors as `ZsadError`. Unexpected exceptions end here: an exception of a known origin becomes a
sentence with the thing and the fix, by a table of origins; any other becomes a sentence with what happened, where to
report it and where its traceback is. Nothing is imported to recognise an exception: only the names of its class and
base classes are used.
"""

from __future__ import annotations

import errno
import os
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any

from zsad.errors import ZsadError, first_line
from zsad.errors.system import FIXES, system_sentence

Sentence = Callable[[Any], str | None]

DEBUG = "ZSAD_DEBUG"  # environment: shows tracebacks on the terminal
PACKAGE = __name__.partition(".")[0]
LONGEST = 300  # characters of a library's message
MEMORY_FIX = "use smaller images or a smaller model, end other programs, or run with fewer cores"
MEMORY_SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "insufficient memory", "bad_alloc")
ISSUE_LABELS = ("issues", "bug tracker", "tracker")  # of the package's addresses
PACKAGES = {"cv2": "opencv-python-headless", "PIL": "pillow", "yaml": "pyyaml", "sklearn": "scikit-learn"}


def is_debugged() -> bool:
    """Whether the user wants tracebacks."""
    return os.environ.get(DEBUG, "") not in ("", "0")


def sentence_of(error: BaseException, *, traceback_in: str | Path | None = None) -> str:
    """The message for the user about an exception: one sentence, in one line.

    Args:
        traceback_in: the file with the traceback; None if there is none.
    """
    return known_sentence(error) or _unexpected(error, traceback_in)


def known_sentence(error: BaseException) -> str | None:
    """The sentence for an exception of a known origin, or for its cause; None if there is none."""
    for one in _causes(error):
        if isinstance(one, ZsadError):
            return _in_one_line(str(one))
        for kind in type(one).__mro__:
            sentence = ORIGINS.get(f"{kind.__module__}.{kind.__qualname__}")
            if sentence is not None and (said := sentence(one)):
                return _in_one_line(said)
    return None


def with_traceback(error: BaseException) -> str:
    """The traceback of an exception, for a log."""
    return "".join(traceback.format_exception(error)).rstrip()


def where_to_report() -> str:
    """The page for errors of this program, if the package names one."""
    try:
        addresses: list[str] = metadata("zsad").get_all("Project-URL") or []
    except PackageNotFoundError:
        addresses = []
    for address in addresses:
        label, _, page = address.partition(",")
        if label.strip().lower() in ISSUE_LABELS:
            return page.strip()
    return "the issue page of zsad, where you got it from"


def _unexpected(error: BaseException, traceback_in: str | Path | None) -> str:
    said = first_line(error)
    what = type(error).__name__ if said == type(error).__name__ else f"{type(error).__name__}: {_short(said)}"
    place = f"in {traceback_in}" if traceback_in else f"shown with {DEBUG}=1 in the environment"
    return _in_one_line(
        f"unexpected error ({what}); this is a bug in the program: report it, with the traceback {place}, "
        f"on {where_to_report()}"
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and its causes."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        # The context of an exception counts as its cause only for wrappers that are known not to set a cause.
        is_wrapper = type(one).__module__.startswith("snakemake") and not one.__suppress_context__
        one = one.__cause__ or (one.__context__ if is_wrapper else None)


def _in_one_line(text: str) -> str:
    return " ".join(text.split())


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _file_in_hand(error: BaseException) -> Path | None:
    """The path that the innermost function of this package was using, by its local variables."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    for frame in reversed(frames):
        if str(frame.f_globals.get("__name__")).partition(".")[0] == PACKAGE:
            paths = [value for value in frame.f_locals.values() if isinstance(value, Path)]
            if paths:
                return paths[0]
    return None


def _of_system(error: OSError) -> str | None:
    """The sentence by the message, if a library has its own, else by the error number."""
    if said := _by_message(error) or system_sentence(error) or system_sentence(error, _file_in_hand(error)):
        return said
    sentence = WITHOUT_A_FILE.get(error.errno or 0)
    return sentence and sentence(error)


def _by_message(error: Exception) -> str | None:
    said = str(error)
    for pattern, sentence in MESSAGES.items():
        if re.search(pattern, said, re.IGNORECASE):
            return sentence(error)
    return None


def _of_memory(error: BaseException) -> str:
    return f"there is too little memory ({_short(first_line(error))}); {MEMORY_FIX}"


def _of_graphics_memory(error: BaseException) -> str:
    return (
        f"the device has too little memory ({_short(first_line(error))}); use smaller images, a smaller model or dtype "
        "bfloat16, end other programs on it, or set device to cpu"
    )


def _unreadable(kind: str, fix: str = "replace it, or delete it if a run made it,") -> Sentence:
    """Sentence for content of the current file that a library cannot read; None without a known file."""

    def sentence(error: BaseException) -> str | None:
        path = _file_in_hand(error)
        return f"{path} is {kind} ({_short(first_line(error))}); {fix} and run again" if path else None

    return sentence


def _of_yaml(error: BaseException) -> str | None:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return _unreadable("not valid YAML", "correct it")(error)
    problem = getattr(error, "problem", None) or first_line(error)
    name = _file_in_hand(error) if mark.name.startswith("<") else mark.name  # for a text that was read before
    return f"{name} is not valid YAML in line {mark.line + 1} ({problem}); correct it" if name else None


def _of_import(error: ImportError) -> str | None:
    """Sentence for a package that is not installed; a missing module of this one, or a missing name, is a bug."""
    module = (error.name or "").partition(".")[0]
    if module == "zsad":
        return None
    if isinstance(error, ModuleNotFoundError) and module:
        package = PACKAGES.get(module, module)
        return f"the package {package} is not installed here (no module named '{module}'); `pip install {package}`"
    if asked := re.search(r"pip install (?:-U |--upgrade )?([\w.\[\]-]+)", str(error)):
        return f"a package is missing ({_short(first_line(error))}); `pip install {asked[1]}`"
    if re.search(r"\.so\b|\.dylib\b|\.dll\b|DLL load", str(error)):
        return f"a package is broken ({_short(first_line(error))}); reinstall the packages of requirements.txt"
    return None


def _of_hub(error: BaseException) -> str:
    return (
        f"the model hub cannot be reached ({_short(first_line(error))}); run again with network access, or "
        "download the models there first (`zsad download NAME`)"
    )


def _of_network(error: BaseException) -> str:
    return f"a server cannot be reached ({_short(first_line(error))}); check the network and run again"


def _of_encoding(error: UnicodeEncodeError) -> str | None:
    if error.reason == "surrogates not allowed":
        name = error.object.encode(errors="backslashreplace").decode()
        return f"the name '{_short(name)}' is not text in UTF-8; rename the file"
    if error.encoding in ("ascii", "latin-1", "charmap"):
        return "the locale of this terminal cannot show all letters; set LC_ALL=C.UTF-8 and run again"
    return None


def _of_validation(error: Any) -> str | None:
    """Sentence for a value in the current file that a data class of this package rejects."""
    path = _file_in_hand(error)
    if path is None:
        return None
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"])) or "its content"
    return f"{path} has an invalid value ({where}: {first['msg']}); correct it, or delete it if a run made it"


def _of_pool(_: BaseException) -> str:
    return (
        "a process that reads images was killed, most likely because memory ran out; give the job more memory, or "
        "run with fewer cores"
    )


def _of_unknown_user(error: KeyError) -> str | None:
    """Sentence for a user without an entry in the system's list, as in a container that runs under a user number."""
    if "uid not found" not in str(error):
        return None
    return (
        f"this user has no name on this machine ({error.args[0]}); set USER to any name, and HOME to one of your "
        "folders"
    )


def _of_device(error: BaseException) -> str:
    return (
        f"the graphics card failed ({_short(first_line(error))}); check it with `nvidia-smi` and run again, or set "
        "device to cpu"
    )


def _of_cache(error: BaseException) -> str:
    return (
        f"compiled code cannot be cached ({_short(first_line(error))}); set NUMBA_CACHE_DIR and "
        "TORCHINDUCTOR_CACHE_DIR to folders that you can write to"
    )


def _of_compiler(error: BaseException) -> str:
    return (
        f"a model cannot be compiled here ({_short(first_line(error))}); set extraction.compile to false, or install a "
        "C++ compiler"
    )


def _of_home(_: BaseException) -> str:
    return "the home folder of this user is not known; set HOME to a folder that you can write to"


def _of_threads(_: BaseException) -> str:
    return "no more threads can be started on this machine; run with fewer cores, or raise the limit (`ulimit -u`)"


def _of_checkpoint(error: BaseException) -> str:
    return (
        f"the weights of a model do not fit its config.json ({_short(first_line(error))}); download the model again, "
        "or choose another"
    )


def _of_model_files(error: BaseException) -> str:
    return f"a model cannot be loaded ({_short(first_line(error))}); download it again, or choose another"


def _of_lock(error: BaseException) -> str:
    what = _file_in_hand(error) or "a file"
    return f"another program has {what} open ({_short(first_line(error))}); close it and run again"


def _of_temporary_folder(_: BaseException) -> str:
    return "no folder for temporary files has free space; set TMPDIR to one that you can write to"


def _full(error: OSError, fix: str) -> str:
    return (
        f"a disk is full ({error.strerror}); {fix} on the disk of the results, and on that of temporary files "
        "(TMPDIR), and run again"
    )


def _of_nesting(error: RecursionError) -> str | None:
    return _unreadable("nested too deeply to be read")(error) if "json" in with_traceback(error) else None


# Sentences by patterns of the message; the first match counts.
MESSAGES: Mapping[str, Sentence] = MappingProxyType(
    {
        r"unable to lock file": _of_lock,
        r"No usable temporary directory": _of_temporary_folder,
        r"CUDA out of memory|MPS backend out of memory|CUBLAS_STATUS_ALLOC_FAILED": _of_graphics_memory,
        "|".join(map(re.escape, MEMORY_SIGNS)): _of_memory,
        r"CUDA error|CUDNN|CUDA driver|NVIDIA driver|No CUDA GPUs|CUDA unknown error|NCCL": _of_device,
        r"cannot cache function|no locator available": _of_cache,
        r"Could not determine home directory": _of_home,
        r"can't start new thread": _of_threads,
        r"size mismatch for|Error\(s\) in loading state_dict|mat1 and mat2 shapes cannot be multiplied": _of_checkpoint,
        r"PytorchStreamReader|Invalid magic number; corrupt file": _unreadable("not a readable weights file"),
        r"(Unable|Can't) (to )?(a?synchronously )?(open|read|get|create|write)": _unreadable(
            "not a readable HDF5 file"
        ),
        r"truncated|broken data stream|unrecognized data stream|cannot identify image": _unreadable("damaged"),
        r"does not appear to have a file named|Can't load the|Unable to load (weights|vocabulary)": _of_model_files,
    }
)
# Sentences by the number of a system error without a path and without a current file.
WITHOUT_A_FILE: Mapping[int, Sentence] = MappingProxyType(
    {
        errno.ENOSPC: lambda error: _full(error, "free some space"),
        errno.EDQUOT: lambda error: _full(error, "free some of your quota"),
        errno.EFBIG: lambda _: "a file became too large; raise the limit on file sizes (`ulimit -f`) and run again",
        errno.ENOMEM: _of_memory,
        errno.EAGAIN: _of_threads,
        errno.EMFILE: lambda _: f"too many files are open; {FIXES[errno.EMFILE]}",
        errno.ENFILE: lambda _: f"too many files are open; {FIXES[errno.ENFILE]}",
        errno.ECONNREFUSED: _of_network,
        errno.ECONNRESET: _of_network,
        errno.ENETUNREACH: _of_network,
        errno.EHOSTUNREACH: _of_network,
        errno.ETIMEDOUT: _of_network,
        errno.EIO: lambda error: f"a disk or a terminal failed ({error.strerror}); check them and run again",
    }
)

# Sentences by the full name of a class; base classes are looked up in turn, the closest first.
ORIGINS: Mapping[str, Sentence] = MappingProxyType(
    {
        "builtins.OSError": _of_system,
        "builtins.MemoryError": _of_memory,
        "builtins.RuntimeError": _by_message,
        "builtins.RecursionError": _of_nesting,
        "builtins.ImportError": _of_import,
        "builtins.UnicodeEncodeError": _of_encoding,
        "builtins.UnicodeDecodeError": _unreadable("not text in UTF-8"),
        "builtins.EOFError": _unreadable("truncated"),
        "builtins.KeyError": _of_unknown_user,
        "builtins.ValueError": lambda error: _of_memory(error) if "array is too big" in str(error) else None,
        "builtins.ConnectionError": _of_network,
        "builtins.BrokenPipeError": lambda _: None,
        "socket.gaierror": _of_network,
        "ssl.SSLError": _of_network,
        "torch.OutOfMemoryError": _of_graphics_memory,
        "torch.AcceleratorError": _of_device,
        "torch._dynamo.exc.TorchDynamoException": _of_compiler,
        "torch._inductor.exc.InductorError": _of_compiler,
        "cv2.error": lambda error: _of_memory(error) if "insufficient memory" in str(error).lower() else None,
        "json.decoder.JSONDecodeError": _unreadable("not valid JSON"),
        "yaml.error.YAMLError": _of_yaml,
        "_csv.Error": _unreadable("not a readable CSV table"),
        "pandas.errors.ParserError": _unreadable("not a readable CSV table"),
        "pandas.errors.EmptyDataError": _unreadable("an empty table"),
        "zipfile.BadZipFile": _unreadable("not a readable ZIP archive"),
        "tarfile.TarError": _unreadable("not a readable TAR archive"),
        "gzip.BadGzipFile": _unreadable("not a readable gzip file"),
        "zlib.error": _unreadable("damaged"),
        "_lzma.LZMAError": _unreadable("damaged"),
        "_pickle.UnpicklingError": _unreadable("damaged, or contains more than tensors"),
        "safetensors._safetensors_rust.SafetensorError": _unreadable("not a readable weights file"),
        "PIL.UnidentifiedImageError": _unreadable("not a readable image"),
        "PIL.Image.DecompressionBombError": _unreadable("too large an image"),
        "pydantic_core._pydantic_core.ValidationError": _of_validation,
        "huggingface_hub.errors.HfHubHTTPError": _of_hub,
        "huggingface_hub.errors.LocalEntryNotFoundError": _of_hub,
        "huggingface_hub.errors.OfflineModeIsEnabled": _of_hub,
        "httpx.HTTPError": _of_network,
        "httpx2.HTTPError": _of_network,
        "requests.exceptions.RequestException": _of_network,
        "urllib.error.URLError": _of_network,
        "http.client.HTTPException": _of_network,
        "concurrent.futures.process.BrokenProcessPool": _of_pool,
    }
)
