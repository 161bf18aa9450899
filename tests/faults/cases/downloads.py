"""Servers that break off, refuse, stall or send something else, and disks and folders that cannot take it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cases.sound import CATALOGUE, DOWNLOADED, URL, archive, describe, draw_tile
from damages import HTML, cut, edited, files_up_to, in_turn, linked, removed, written
from fault import DOWNLOADS, PIECE, Damage, Fault, Place, recover
from file_server import ServedFile

ARCHIVE = f"{DOWNLOADS}/archives/MPDD.zip"
SECOND = "/second/MPDD.zip"
NOWHERE = "http://127.0.0.1:9/MPDD.zip"  # the port of the protocol "discard", which nobody serves any more
OWN = r"data/mpdd exists but was not unpacked by zsad; set dataset\.root to it to use it as it is, or move it away"
SIZE = len(archive())
OTHER = archive()[:-1] + b"!"  # as long, but not the same


def served(**behaviour: Any) -> Damage:
    """Have the server misbehave over the archive, or send something else."""

    def damage(place: Place) -> None:
        place.server.files[URL] = ServedFile(**{"content": archive(), **behaviour})

    return damage


def mirrored(*urls: str, second: ServedFile | None = None, **first: Any) -> Damage:
    """Give the archive two addresses."""

    def damage(place: Place) -> None:
        describe(place.server, urls)
        place.server.files[URL] = ServedFile(**{"content": archive(), **first})
        if second:
            place.server.files[SECOND] = second

    return damage


def described(**changes: Any) -> Damage:
    """Have the catalogue say something else of the archive."""
    return lambda place: describe(place.server, **changes)


def disk_with(free: int) -> Damage:
    """A disk with so many bytes left before anything is downloaded."""

    def usage(path: Path) -> SimpleNamespace:
        used = sum(file.stat().st_size for file in Path(DOWNLOADS).rglob("*") if file.is_file())
        return SimpleNamespace(free=free - used)

    return lambda place: place.patched().setattr(shutil, "disk_usage", usage)


def impatient(place: Place) -> None:
    """Wait for a silent server much shorter than usual."""
    place.patched().setattr("zsad.files.download.SILENCE_SECONDS", 0.1)


def offline(place: Place) -> None:
    place.patched().setenv("HF_HUB_OFFLINE", "1")


def silent_server(place: Place) -> None:
    place.server.files.clear()


def asked_for(*parts: str) -> Callable[[Place], None]:
    """The server was asked for these parts of the archive and no others, in order; empty for the whole."""

    def check(place: Place) -> None:
        assert place.server.parts() == list(parts)

    return check


def share(part: float) -> int:
    """About so much of the archive, in whole pieces, in bytes."""
    return int(part * SIZE) // PIECE * PIECE


def cut_at_tenth(tenth: int) -> Fault:
    received = share(tenth / 10)
    return Fault(
        f"connection cut after {tenth} tenths",
        DOWNLOADED,
        served(cuts=[received]),
        then=asked_for("", f"bytes={received}-" if received else ""),
    )


def refused(status: int, said: str, times: int = 100) -> Fault:
    return Fault(f"server that answers {status}", DOWNLOADED, served(statuses=[status] * times), said, fix=recover)


def placed(content: bytes) -> Damage:
    """Put something by hand where the archive is looked for."""
    return written(ARCHIVE, content)


def away(*paths: str) -> Damage:
    """Move away what is in the way."""
    return in_turn(removed(*paths), recover)


CONNECTIONS = (
    *map(cut_at_tenth, range(10)),
    Fault(
        "connection cut again and again",
        DOWNLOADED,
        served(always_cut=share(0.2)),
        then=asked_for("", *(f"bytes={times * share(0.2)}-" for times in range(1, 6))),
    ),
    Fault(
        "connection cut for good",
        DOWNLOADED,
        served(cuts=[share(0.3)], always_cut=0),
        (rf"the download of .*MPDD\.zip .*stopped after {share(0.3)} bytes \(.*\); run again to continue " r"it"),
        fix=recover,
    ),
    Fault("server that ignores ranges", DOWNLOADED, served(honours_ranges=False, cuts=[SIZE // 2])),
    Fault("server that begins at another byte than asked", DOWNLOADED, served(shift=7, cuts=[SIZE // 2])),
    Fault("server that does not say how long the archive is", DOWNLOADED, served(announces_size=False)),
    Fault("server that is silent for a while", DOWNLOADED, in_turn(impatient, served(stalls=[0.3]))),
    Fault(
        "server that is silent for good",
        DOWNLOADED,
        in_turn(impatient, served(always_cut=0, stalls=[0.3] * 20)),
        r"MPDD\.zip .*cannot be downloaded because the connection broke; run again later",
        fix=recover,
    ),
    Fault("server that is busy once", DOWNLOADED, served(statuses=[503])),
    Fault("server that fails once", DOWNLOADED, served(statuses=[500]), then=asked_for("", "")),
    refused(
        404, r"MPDD\.zip .*is not at http://.*/MPDD\.zip \(404 Not Found\); download it in another way, .* save it as"
    ),
    refused(403, r"MPDD\.zip .*cannot be downloaded from http://.* \(403 Forbidden\); download it in another way"),
    refused(410, r"MPDD\.zip .*is not at http://.* \(410 Gone\)"),
    refused(500, r"MPDD\.zip .*cannot be downloaded because .* answers 500 .*; run again later"),
    Fault(
        "server that cannot be reached",
        DOWNLOADED,
        described(urls=[NOWHERE]),
        r"MPDD\.zip .*cannot be downloaded because 127\.0\.0\.1:9 cannot be reached \(ConnectionError\); run again",
    ),
    Fault(
        "server that sends in circles",
        DOWNLOADED,
        served(redirected_to=URL),
        r"MPDD\.zip .*cannot be reached \(TooManyRedirects\)",
        fix=recover,
    ),
    Fault(
        "network that must not be used",
        DOWNLOADED,
        offline,
        (r"MPDD\.zip .*is not on this machine and HF_HUB_OFFLINE forbids its download; .*`zsad download " r"mpdd`"),
        fix=recover,
    ),
)

CONTENTS = (
    Fault(
        "archive with one wrong byte",
        DOWNLOADED,
        served(content=OTHER),
        (
            r"MPDD\.zip .*is not the expected file: the SHA-256 of the file from http://.* is [0-9a-f]{64}, not "
            r"[0-9a-f]{64}"
        ),
        fix=recover,
    ),
    Fault(
        "archive of another size",
        DOWNLOADED,
        served(content=archive() + b"more"),
        rf"MPDD\.zip .*is not the expected file: http://.* sent {SIZE + 4} bytes, not {SIZE}",
        fix=recover,
    ),
    Fault(
        "page in place of the archive",
        DOWNLOADED,
        in_turn(described(sha256=None, size=None), served(content=HTML)),
        r"MPDD\.zip .*http://.* sent not an archive \(it begins with '<!DOCTYPE html>",
    ),
    Fault(
        "nothing in place of the archive",
        DOWNLOADED,
        in_turn(described(sha256=None, size=None), served(content=b"")),
        r"MPDD\.zip .*http://.* sent an empty file",
    ),
)

MIRRORS = (
    Fault(
        "first of two addresses gone", DOWNLOADED, mirrored(URL, SECOND, second=ServedFile(archive()), statuses=[404])
    ),
    Fault("first of two addresses unreachable", DOWNLOADED, mirrored(NOWHERE, SECOND, second=ServedFile(archive()))),
    Fault(
        "first of two addresses with another archive",
        DOWNLOADED,
        mirrored(URL, SECOND, second=ServedFile(archive()), content=OTHER),
    ),
    Fault(
        "first of two addresses cut for good",
        DOWNLOADED,
        mirrored(URL, SECOND, second=ServedFile(archive()), cuts=[SIZE // 2], always_cut=0),
    ),
    Fault(
        "both addresses bad",
        DOWNLOADED,
        mirrored(URL, SECOND, second=ServedFile(OTHER), statuses=[403]),
        r"cannot be downloaded from any of its 2 addresses: http://.*/MPDD\.zip \(403 Forbidden\), .*SHA-256.*",
    ),
)

DISKS = (
    Fault(
        "disk with too little space for the archive",
        DOWNLOADED,
        disk_with(SIZE - 1),
        r"the disk of data/archives has no space for .*MPDD\.zip.*; free some",
        fix=recover,
    ),
    Fault(
        "disk with too little space for the contents of the archive",
        DOWNLOADED,
        disk_with(SIZE + 1000),
        r"the disk of data has no space for MPDD; free some",
        fix=recover,
    ),
    Fault(
        "disk that takes half of the archive",
        DOWNLOADED,
        files_up_to(SIZE // 2),
        r"MPDD\.zip .*cannot be written to data/archives \(File too large\)",
        fix=recover,
    ),
    Fault(
        "folder of downloads that cannot be written to",
        DOWNLOADED,
        linked(DOWNLOADS, "/sys/kernel"),
        r"MPDD cannot be kept in .* \(.*\); make this folder writable, or set dataset\.download_to",
        fix=away(DOWNLOADS),
    ),
    Fault(
        "folder of downloads that is a file",
        DOWNLOADED,
        written(DOWNLOADS, "no folder"),
        r"dataset\.download_to data is a file; set it to a folder",
        fix=away(DOWNLOADS),
    ),
)

BY_HAND = (
    Fault("archive put there by hand", DOWNLOADED, in_turn(placed(archive()), silent_server), then=asked_for()),
    Fault(
        "another archive put there by hand",
        DOWNLOADED,
        placed(OTHER),
        rf"{ARCHIVE} is not the archive of MPDD: its SHA-256 is [0-9a-f]{{64}}, not [0-9a-f]{{64}}; move it away",
        fix=away(ARCHIVE),
    ),
    Fault(
        "half an archive put there by hand",
        DOWNLOADED,
        placed(archive()[: SIZE // 2]),
        rf"{ARCHIVE} is not the archive of MPDD: it has {SIZE // 2} bytes, not {SIZE}; move it away",
        fix=away(ARCHIVE),
    ),
    Fault(
        "page put there by hand as archive",
        DOWNLOADED,
        placed(HTML),
        rf"{ARCHIVE} is not an archive \(it begins with '<!DOCTYPE html>.*\), not the archive of MPDD; move it away",
        fix=away(ARCHIVE),
    ),
    Fault(
        "link put there by hand that leads nowhere",
        DOWNLOADED,
        in_turn(placed(b""), linked(ARCHIVE, "/nowhere/MPDD.zip")),
        rf"{ARCHIVE} cannot be read \(No such file or directory\)",
        fix=away(ARCHIVE),
    ),
    Fault(
        "archive that can be had only by hand",
        DOWNLOADED,
        described(urls=[], by_hand="click on the button"),
        rf"MPDD must be downloaded by hand: .*click on the button; .*: {ARCHIVE} \(licence: none; homepage: https://",
        fix=placed(archive()),
    ),
)

FOUND = (
    Fault(
        "folder of the data set with something of the user's own",
        DOWNLOADED,
        written(f"{DOWNLOADS}/mpdd/notes.txt", "mine"),
        OWN,
        fix=away(f"{DOWNLOADS}/mpdd"),
    ),
    Fault(
        "folder of the data set as the user has unpacked it",
        DOWNLOADED,
        lambda place: draw_tile(f"{DOWNLOADS}/mpdd/MPDD/tile"),
        OWN,
        fix=away(f"{DOWNLOADS}/mpdd"),
    ),
    Fault(
        "file in place of the data set",
        DOWNLOADED,
        written(f"{DOWNLOADS}/mpdd", "mine"),
        OWN,
        fix=away(f"{DOWNLOADS}/mpdd"),
    ),
    Fault(
        "data set whose mark is damaged",
        DOWNLOADED,
        in_turn(cut(f"{DOWNLOADS}/mpdd/.unpacked.json", 0.5), removed(f"{DOWNLOADS}/mpdd.json")),
        r"data/mpdd/\.unpacked\.json is damaged, .*; set dataset\.root .*, or move it away",
        finished=True,
        fix=away(f"{DOWNLOADS}/mpdd"),
    ),
    Fault(
        "data set unpacked from another archive",
        DOWNLOADED,
        described(sha256="0" * 64),
        r"data/mpdd was unpacked from other archives than MPDD has now \(differing: MPDD\.zip\); set dataset\.root",
        finished=True,
    ),
    Fault(
        "partial folder of a run that was killed",
        DOWNLOADED,
        written(f"{DOWNLOADS}/.mpdd.partial-4711/MPDD/tile/test/good/0.png", "half"),
    ),
    Fault(
        "half an archive of a run that was killed",
        DOWNLOADED,
        written(f"{ARCHIVE}.part", archive()[: SIZE // 2]),
        then=asked_for(f"bytes={SIZE // 2}-"),
    ),
    Fault(
        "half of another archive of a run that was killed",
        DOWNLOADED,
        written(f"{ARCHIVE}.part", OTHER[::-1][: SIZE // 2]),
    ),
    Fault("more than an archive of a run that was killed", DOWNLOADED, written(f"{ARCHIVE}.part", archive() + b"more")),
    Fault(
        "locks of a run that was killed",
        DOWNLOADED,
        in_turn(written(f"{ARCHIVE}.lock", ""), written(f"{DOWNLOADS}/.mpdd.lock", "")),
    ),
    Fault(
        "archive and record deleted after a run",
        DOWNLOADED,
        in_turn(removed(f"{DOWNLOADS}/archives", f"{DOWNLOADS}/mpdd.json"), silent_server),
        finished=True,
        then=asked_for(),
    ),
    Fault("server gone after a run", DOWNLOADED, silent_server, finished=True, then=asked_for()),
    Fault(
        "catalogue that is not YAML",
        DOWNLOADED,
        edited(str(CATALOGUE), "mpdd:", "mpdd: {"),
        r"the catalogue of data sets .* is not YAML \(.*\); correct or restore it",
    ),
    Fault(
        "catalogue with a key that does not exist",
        DOWNLOADED,
        described(sha="0"),
        r"the catalogue of data sets .* is wrong: there is no key .*sha; correct it",
    ),
)

FAULTS: tuple[Fault, ...] = (*CONNECTIONS, *CONTENTS, *MIRRORS, *DISKS, *BY_HAND, *FOUND)
