"""Archives that would write elsewhere, grow without end, are broken, or are packed in another way."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Mapping

from cases.downloads import ARCHIVE, served
from cases.sound import DOWNLOADED, archive, archived_files, describe
from damages import in_turn, nothing, removed
from fault import Damage, Fault, restore

INNOCENT = "MPDD/tile/test/good/9.png"
UNSAFE = rf"the archive {ARCHIVE} is not safe to unpack because of "
DAMAGED = rf"the archive {ARCHIVE} is damaged or truncated \(.*\); replace it with a complete one"
TOO_LARGE = rf"the archive {ARCHIVE} unpacks to more than \d+ bytes; unpack it yourself, if you trust it"


def zipped(*more: tuple[str | zipfile.ZipInfo, bytes], files: Mapping[str, bytes] | None = None) -> bytes:
    """The data set's files, and some more, as a zip."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in (*(archived_files() if files is None else files).items(), *more):
            info = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(info, data)
    return content.getvalue()


def tarred(*more: tarfile.TarInfo) -> bytes:
    """The data set's files, and some more members without content, as a tar."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as file:
        for name, data in archived_files().items():
            file.addfile(member(name, size=len(data)), io.BytesIO(data))
        for info in more:
            file.addfile(info, io.BytesIO(bytes(info.size)))
    return content.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info


def zip_link(name: str) -> zipfile.ZipInfo:
    """A symbolic link of a zip, whose content is its target."""
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, 0o120777 << 16  # Unix
    return info


def encrypted() -> bytes:
    """As if with a password: the flag in both headers of each member."""
    content = bytearray(archive())
    for magic, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = content.find(magic)
        while start >= 0:
            content[start + flags] |= 1
            start = content.find(magic, start + 4)
    return bytes(content)


def understated() -> bytes:
    """A zip with a file of 10 MB that is said to have 100 bytes."""
    content = zipped((INNOCENT, bytes(10**7)))
    return content.replace((10**7).to_bytes(4, "little"), (100).to_bytes(4, "little"))


def terabyte() -> bytes:
    """A tar whose last member says that it has 10^12 bytes, of which there are a few."""
    content = tarred(member(INNOCENT))
    header = member(INNOCENT).tobuf()
    assert header in content
    return content.replace(header, member(INNOCENT, size=10**12).tobuf())


def with_wrong_byte(content: bytes, place: float) -> bytes:
    position = int(place * len(content))
    return content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :]


def damaged_header() -> bytes:
    """A tar whose second member has another name than its checksum says."""
    content = tarred()
    second = content.index(b"MPDD/", 512)
    return content[:second] + b"m" + content[second + 1 :]


def offered(content: bytes) -> Damage:
    """Have the server send an archive whose SHA-256 and size nobody knows."""
    unknown = {"sha256": None, "size": None, "verified": "unverified: drawn for tests"}
    return in_turn(lambda place: describe(place.server, **unknown), served(content=content))


def bad(name: str, content: bytes, said: str) -> Fault:
    """An archive that is refused when it is unpacked; it is kept, and must be moved away by who put it there."""
    return Fault(name, DOWNLOADED, offered(content), said, fix=in_turn(removed(ARCHIVE), restore))


def good(name: str, content: bytes) -> Fault:
    """An archive of another kind with the same files, and of use once it is unpacked."""
    return Fault(name, DOWNLOADED, offered(content), fix=nothing)


def cut_off(kind: str, content: bytes) -> tuple[Fault, ...]:
    """An archive without its end, for different lengths of that."""
    return tuple(
        bad(f"{kind} cut off after {percent} %", content[: percent * len(content) // 100], DAMAGED)
        for percent in (30, 60, 99)
    )


def packed(pack: Callable[[bytes], bytes]) -> bytes:
    """The tar with its files, packed."""
    return pack(tarred())


MEMBERS = (
    bad("tar with a file outside", tarred(member("../escaped.png")), UNSAFE + r"'\.\./escaped\.png', which leads out"),
    bad(
        "tar with a file outside by a detour",
        tarred(member("MPDD/../../escaped.png")),
        UNSAFE + r"'MPDD/\.\./\.\./escaped\.png', which leads out of the folder",
    ),
    bad("tar with an absolute path", tarred(member("/tmp/escaped.png")), UNSAFE + ".*, which is an absolute path"),
    bad(
        "tar with a symbolic link",
        tarred(member(INNOCENT, tarfile.SYMTYPE, "/etc/passwd")),
        UNSAFE + rf"'{INNOCENT}', which is a link",
    ),
    bad(
        "tar with a hard link",
        tarred(member(INNOCENT, tarfile.LNKTYPE, "../../outside")),
        UNSAFE + rf"'{INNOCENT}', which is a link",
    ),
    bad("tar with a device", tarred(member(INNOCENT, tarfile.CHRTYPE)), UNSAFE + ".*, which is a device"),
    bad("tar with a pipe", tarred(member(INNOCENT, tarfile.FIFOTYPE)), UNSAFE + ".*, which is a pipe"),
    bad("zip with a file outside", zipped(("../escaped.png", b"x")), UNSAFE + ".*, which leads out of the folder"),
    bad("zip with an absolute path", zipped(("/tmp/escaped.png", b"x")), UNSAFE + ".*, which is an absolute path"),
    bad("zip with a drive of Windows", zipped(("C:/escaped.png", b"x")), UNSAFE + ".*, which is a path of Windows"),
    bad("zip with backslashes", zipped(("..\\escaped.png", b"x")), UNSAFE + ".*, which is a path of Windows"),
    bad("zip with a symbolic link", zipped((zip_link(INNOCENT), b"/etc/passwd")), UNSAFE + ".*, which is a link"),
    bad(
        "tar with a file twice",
        tarred(member("MPDD/tile/test/good/0.png")),
        rf"the archive {ARCHIVE} has 'MPDD/tile/test/good/0\.png' twice, or as a file and as a folder",
    ),
    bad(
        "zip with a file that is also a folder",
        zipped(("MPDD/tile/test/good/0.png/more.png", b"x")),
        rf"the archive {ARCHIVE} has 'MPDD/tile/test/good/0\.png/more\.png' twice, or as a file and as a folder",
    ),
)

BOMBS = (
    bad("zip bomb", zipped((INNOCENT, bytes(10**7))), TOO_LARGE),
    bad("zip bomb that says it is small", understated(), rf"{TOO_LARGE}|{DAMAGED}"),
    bad("tar bomb packed with gzip", gzip.compress(tarred(member(INNOCENT, size=10**7))), TOO_LARGE),
    bad("tar bomb packed with xz", lzma.compress(tarred(member(INNOCENT, size=10**7))), TOO_LARGE),
    bad(
        "tar that promises a terabyte",
        terabyte(),
        rf"{TOO_LARGE}|{DAMAGED}",
    ),
)

BROKEN = (
    *cut_off("zip", zipped()),
    *cut_off("tar", tarred()[:-9216]),  # without what fills it up after its end mark of 1024 bytes
    *cut_off("tar packed with gzip", packed(gzip.compress)),
    *cut_off("tar packed with xz", packed(lzma.compress)),
    bad("zip with a wrong byte", with_wrong_byte(archive(), 0.5), DAMAGED),
    bad("tar packed with gzip with a wrong byte", with_wrong_byte(packed(gzip.compress), 0.5), DAMAGED),
    bad("tar with a wrong byte in a header", damaged_header(), DAMAGED),
    bad("zip with a password", encrypted(), rf"the archive {ARCHIVE} is encrypted; unpack it yourself"),
    bad("zip without files", zipped(files={}), rf"the archive {ARCHIVE} contains no files; replace it"),
    bad(
        "archive of another data set",
        zipped(files={"other/0.png": b"x"}),
        r"there is no folder MPDD in MPDD\.zip, where the images of MPDD are expected; unpack it yourself and set",
    ),
    Fault(
        "archive of a kind that is not known",
        DOWNLOADED,
        offered(b"7z\xbc\xaf\x27\x1c" + bytes(600)),
        r"MPDD\.zip .* sent not an archive \(it begins with .7z",
    ),
)

UNUSUAL = (
    good("tar in place of the zip", tarred()),
    good("tar packed with gzip", packed(gzip.compress)),
    good("tar packed with bzip2", packed(bz2.compress)),
    good("tar packed with xz", packed(lzma.compress)),
    good(
        "zip with what macOS adds",
        zipped(("__MACOSX/._MPDD", b"x"), ("MPDD/tile/test/good/._0.png", b"x"), ("MPDD/.DS_Store", b"x")),
    ),
    good("zip with its folders", zipped(("MPDD/", b""), ("MPDD/tile/", b""), ("MPDD/empty/", b""))),
)

FAULTS: tuple[Fault, ...] = (*MEMBERS, *BOMBS, *BROKEN, *UNUSUAL)
