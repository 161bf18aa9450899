"""Common names of folders and labels of a data set, and the recognition of misspelled names."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Collection, Iterable

ALIKE = 0.85  # least ratio of difflib for similar spelling: one letter added, removed or changed
LEAST_LETTERS = 4  # least length of a name that can be misspelled: shorter ones are too similar ("ok" and "ko")


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Words without information about an image.
FILLERS = _set(
    "img imgs image images photo photos photograph photographs picture pictures pic pics part parts sample samples "
    "piece pieces product products class only bild bilder foto fotos teil teile"
)
GOOD_WORDS = _set(
    "good goods ok oks okay okey normal normals nominal gut gute guten io inordnung pass passed passing accept "
    "accepted acceptable conform conforming conformant nondefective notdefective undefective nondefect nodefect "
    "nodefects defectfree withoutdefect withoutdefects defectless nonfaulty faultless faultfree nofault nofaults "
    "nonanomalous notanomalous noanomaly noanomalies anomalyfree flawless flawfree noflaw noflaws errorfree noerror "
    "noerrors healthy intact undamaged nondamaged notdamaged nodamage damagefree perfect clean sound fine "
    "negative negatives neg fehlerfrei einwandfrei ohnefehler bon bons conforme conformes sain buono buoni buona "
    "bueno buenos bom goed 正常 良品 良 合格 合格品 無欠陥 양품 정상"
)
DEFECT_WORDS = _set(
    "bad bads ng nok nio ko notok notgood nogood defect defects defective defectives defectiv anomaly anomalies "
    "anomalous abnormal abnormals fail failed failure fails fault faults faulty flaw flaws flawed damage damaged "
    "broken reject rejects rejected scrap nonconforming nonconform error errors positive positives pos schlecht "
    "schlechte defekt defekte fehler fehlerhaft ausschuss nichtinordnung 不良 不良品 异常 異常 缺陷 불량"
)
TRAIN_WORDS = _set("train trains trn training trainset trainingset trainingdata traindata")
TEST_WORDS = _set("test tests tst testing testset testdata eval evaluation")
VALIDATION_WORDS = _set("val valid vali validate validation validationset dev")
MASK_WORDS = _set(
    "groundtruth groundtruths groundthruth gt gts truth mask masks maske masken segmentation segmentations segmap "
    "segmaps annotation annotations annot label labels labelmasks binarymasks"
)


def plain(name: str) -> str:
    """A name in small letters, without spaces, signs and digits."""
    return "".join(_words(name))


def means(name: str, words: Collection[str]) -> bool:
    """Whether a name is one of the words, ignoring case, signs, digits and words without information."""
    kept = [word for word in _words(name) if word not in FILLERS]
    return "".join(kept) in words or plain(name) in words


def spelled_alike(name: str, other: str) -> bool:
    """Whether two names differ only by case, signs, or about one letter."""
    one, two = plain(name), plain(other)
    if not one or one == two:
        return one == two and bool(one)
    if min(len(one), len(two)) < LEAST_LETTERS - 1 or max(len(one), len(two)) < LEAST_LETTERS:
        return False
    return sorted(one) == sorted(two) or difflib.SequenceMatcher(None, one, two).ratio() >= ALIKE


def slips(expected: str, names: Iterable[str], words: Collection[str] = ()) -> list[str]:
    """The names that probably stand for an expected one: first those that differ only in case, then others."""
    others = [name for name in names if name != expected]
    same = [name for name in others if name.casefold() == expected.casefold()]
    meant = [name for name in others if means(name, words) or spelled_alike(name, expected)]
    return [*same, *(name for name in meant if name not in same)]


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", unicodedata.normalize("NFKC", name).casefold())
