"""Images of a shape or size that would take all memory, and methods that cannot score images of their size."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cases.sound import FOLDER, IMAGES, TILE
from cases.unreadable import PHOTOGRAPHS, SKIP, listed
from damages import draw, draw_mask, drawn, in_turn, nothing
from fault import ALL, Damage, Fault, Place, Sound

PNG, PNG_ID = f"{TILE}/test/crack/1.png", "test/crack/1.png"
FEATURES = "results/t/*/features/**/*.h5"


def nothing_extracted(place: Place) -> None:
    """It is said before the work."""
    assert not list(Path().glob(FEATURES))


def strip(path: str, height: int, width: int) -> Damage:
    """Put an image of an odd shape in a place, and a mask of that shape beside it if there is one."""
    mask = Path(path.replace("/test/", "/ground_truth/").replace(".png", "_mask.png"))

    def damage(place: Place) -> None:
        draw(path, 99, (height, width))
        if mask.exists() and mask != Path(path):
            draw_mask(mask, (height, width))

    return damage


def stops(name: str, height: int, width: int, said: str, **changes: Any) -> Fault:
    """One image of the test set, or of its good ones, has another shape."""
    return Fault(name, IMAGES, strip(PNG, height, width), said, changes=changes, then=nothing_extracted)


def skips(name: str, sound: Sound, path: str, image: str, folder: str, size: tuple[int, int], **changes: Any) -> Fault:
    """It is left out, and listed."""
    return Fault(
        name,
        sound,
        strip(path, *size),
        loses=frozenset({image}),
        changes={**SKIP, **changes},
        then=listed(folder, image),
    )


def goes_on(name: str, height: int, width: int, **changes: Any) -> Fault:
    """Odd, and within the bounds."""
    return Fault(name, IMAGES, strip(PNG, height, width), alters=ALL, changes=changes)


def refused(name: str, said: str, damage: Damage = nothing, sound: Sound = IMAGES, **changes: Any) -> Fault:
    """A method, or a backbone, cannot do with the images; it is said before any feature is extracted."""
    return Fault(name, sound, damage, said, changes=changes, then=nothing_extracted)


def scored_by(scorer: str, **params: Any) -> Mapping[str, Any]:
    """A further method."""
    return {"methods__further": {"scorer": scorer, "params": params}}


def finer(**params: Any) -> Mapping[str, Any]:
    """Another backbone."""
    return {"backbones__embedded": {"family": "embedded", "params": params}}


LONG = (
    stops("row of pixels", 1, 3000, r"crack/1\.png has 3000 x 1 pixels.*3000 times.*max_aspect 50 allows.*skip"),
    stops("column of pixels", 3000, 1, r"crack/1\.png has 1 x 3000 pixels.*dataset\.max_aspect 50"),
    stops("strip of hundred thousand pixels", 10, 100_000, r"has 100000 x 10 pixels.*10000 times.*max_aspect 50"),
    stops("strip beyond a bound of one's own", 32, 100, r"3\.125 times.*max_aspect 3 allows", dataset__max_aspect=3),
    stops(
        "strip within the aspect of which a fine backbone makes too many patches",
        8,
        320,
        r"crack/1\.png has 320 x 8 pixels, for which backbone 'embedded' computes 640 patches, more than "
        r"dataset\.max_patches 600 allows; .*resolution.*raise dataset\.max_patches.*unreadable to 'skip'$",
        dataset__max_patches=600,
    ),
    refused(
        "long reference",
        r"train/good/1\.png has 2000 x 4 pixels.*max_aspect",
        drawn(f"{TILE}/train/good/1.png", size=(4, 2000)),
    ),
    refused(
        "several long images, all named at once",
        r"2 images of tile cannot be used: .*good/0\.png has 900 x 2 .*dataset\.max_aspect 50.*crack/0\.png|"
        r"2 images of tile cannot be used: .*crack/0\.png has 900 x 2 .*dataset\.max_aspect 50.*good/0\.png",
        in_turn(strip(f"{TILE}/test/crack/0.png", 2, 900), strip(f"{TILE}/test/good/0.png", 2, 900)),
    ),
    skips("row of pixels to be left out", IMAGES, PNG, PNG_ID, "results/t/tile", (1, 3000)),
    skips(
        "strip with too many patches to be left out",
        IMAGES,
        PNG,
        PNG_ID,
        "results/t/tile",
        (8, 320),
        dataset__max_patches=600,
    ),
    skips("column among photographs", FOLDER, "photographs/a.png", "a.png", PHOTOGRAPHS, (2000, 3)),
    goes_on("image of a single pixel among larger ones", 1, 1),
    goes_on("image of two by two pixels", 2, 2),
    goes_on("panorama", 32, 480),
    goes_on("strip that a higher bound lets pass", 4, 240, dataset__max_aspect=60),
)

SETTINGS = (
    refused(
        "resolution that makes too many patches of any image",
        r"backbone 'embedded' with resolution 32768 computes 16777216 patches for a square image, more than "
        r"dataset\.max_patches 65536 allows; lower its resolution, or raise dataset\.max_patches$",
        **finer(resolution=32768),
    ),
    refused(
        "tiles that overlap nearly whole",
        r"backbone 'dinov2' with .*tile 448, overlap 434 computes 9634816 patches .*its resolution or overlap",
        backbones__dinov2={
            "family": "transformers",
            "params": {"model": "dinov2-small", "resolution": 1792, "tile": 448, "overlap": 434},
        },
        methods__mutual__backbone="dinov2",
    ),
    refused("bound of no patch", r"dataset: max_patches = 0 is not valid", dataset__max_patches=0),
    refused("bound below a square", r"dataset: max_aspect = -1", dataset__max_aspect=-1),
    refused("bound without end", r"dataset: max_aspect = inf", dataset__max_aspect=float("inf")),
)

REFUSED = (
    refused(
        "exclusion radius that leaves no patch",
        r"^zsad: check_images: method 'further': test/\S+ has only 4 x 5 patches.*lower 'exclusion_radius'",
        **scored_by("self_similarity", exclusion_radius=9),
    ),
    refused(
        "more neighbours than patches",
        r"method 'further': test/\S+ has \d+ patches beyond .* fewer than k = 99; lower 'k'",
        **scored_by("self_similarity", exclusion_radius=0, k=99),
    ),
    refused(
        "tile that is larger than the images",
        r"method 'further': test/\S+ has only 4 x 5 patches, fewer than a tile of 5 x 5; lower 'tile'",
        **scored_by("tile_distribution", tile=5),
    ),
    refused(
        "one image of another size among those that are compared place by place",
        r"method 'further': test/crack/1\.png has 4 x 8 patches and the reference train/good/\d\.png has 4 x 5",
        strip(PNG, 32, 64),
        **scored_by("mahalanobis", per_position=True, shots=2),
    ),
    refused(
        "more channels than there are",
        r"method 'further': there are \d+ channels, fewer than the 4000 wanted",
        **scored_by("mahalanobis", channels=4000),
    ),
    refused(
        "bank of fewer patches than neighbours",
        r"method 'further': the references have 320 patches to compare with, fewer than k = 321; lower 'k'",
        **scored_by("memory_bank", shots=2, k=321),
    ),
    refused(
        "fold with fewer patches than neighbours",
        r"method 'further': the references have 160 patches to compare with, fewer than k = 200; lower 'k'",
        methods__further={
            "scorer": "memory_bank",
            "params": {"shots": 2, "k": 200},
            "threshold": {"rule": "reference_quantile"},
        },
    ),
    refused(
        "layer that the backbone has not",
        r"method 'further': the features have no layer '11'; (did you mean|choose from: filters)",
        **scored_by("flip_consistency", layers=[11]),
    ),
    refused(
        "one image left to be compared with others",
        r"method 'mutual': mutual scoring needs at least 2 test images, but there is 1",
        in_turn(strip("photographs/a.png", 2, 2000), strip("photographs/b.jpg", 2, 2000)),
        FOLDER,
        methods__memory_bank=None,
    ),
)

LATER = Fault(
    "method that refuses, added to a finished run",
    IMAGES,
    nothing,
    r"^zsad: extract_features: method 'further': the references have 60 patches to compare with, fewer than k = 999",
    changes=scored_by("memory_bank", shots=3, k=999, rotations=False),
    finished=True,
)

FAULTS: tuple[Fault, ...] = (*LONG, *SETTINGS, *REFUSED, LATER)
