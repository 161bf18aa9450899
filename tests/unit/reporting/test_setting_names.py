"""Settings that say on which other data sets a method was trained: their order, their parts, and what they mean."""

import pytest

from zsad.names import auxiliary_sets, is_of_detector, setting_order, with_auxiliary, without_auxiliary
from zsad.reporting.settings_in_words import setting_meaning

ORDERED = [
    "zero-shot-single",
    "zero-shot-batch",
    "zero-shot-text",
    "zero-shot-auxiliary(another data set)",
    "zero-shot-auxiliary(mvtec_ad+visa)",
    "zero-shot-auxiliary(visa)",
    "few-shot-1",
    "few-shot-1+auxiliary(visa)",
    "few-shot-4",
    "few-shot-16",
    "few-shot-16+auxiliary(mvtec_ad)",
    "full-shot",
    "full-shot+auxiliary(mvtec_ad+visa)",
]


def test_what_was_trained_elsewhere_stands_behind_what_sees_the_same_without():
    shuffled = ORDERED[1::2] + ORDERED[::2]
    assert sorted(shuffled, key=setting_order) == ORDERED
    assert all(map(is_of_detector, ORDERED))
    classifiers = ["few-shot-defects-5", "few-shot-defects-all"]
    assert sorted([*classifiers, *ORDERED], key=setting_order) == [*ORDERED, *classifiers]
    assert not is_of_detector("zero-shot-auxiliary-visa")


@pytest.mark.parametrize(
    ("setting", "own", "names"),
    [
        ("zero-shot-text", "zero-shot-text", ()),
        ("zero-shot-auxiliary(visa)", "", ("visa",)),
        ("zero-shot-auxiliary(mvtec_ad+visa)", "", ("mvtec_ad", "visa")),
        ("zero-shot-auxiliary(another data set)", "", ("another data set",)),
        ("few-shot-4+auxiliary(visa)", "few-shot-4", ("visa",)),
        ("full-shot+auxiliary(mvtec_ad+visa)", "full-shot", ("mvtec_ad", "visa")),
        ("few-shot-defects-5", "few-shot-defects-5", ()),
        ("auxiliary(visa)", "auxiliary(visa)", ()),
    ],
)
def test_the_parts_of_a_setting(setting, own, names):
    assert (without_auxiliary(setting), auxiliary_sets(setting)) == (own, names)


@pytest.mark.parametrize(
    ("setting", "names", "expected"),
    [
        ("zero-shot-text", [], "zero-shot-text"),
        ("zero-shot-text", ["visa"], "zero-shot-auxiliary(visa)"),
        ("zero-shot-batch", ["visa", "mvtec_ad", "visa"], "zero-shot-auxiliary(mvtec_ad+visa)"),
        ("zero-shot-auxiliary(visa)", [], "zero-shot-auxiliary(visa)"),
        ("zero-shot-auxiliary(visa)", ["btad"], "zero-shot-auxiliary(btad+visa)"),
        ("few-shot-4", ["visa"], "few-shot-4+auxiliary(visa)"),
        ("few-shot-4+auxiliary(visa)", ["btad"], "few-shot-4+auxiliary(btad+visa)"),
        ("full-shot", ["visa"], "full-shot+auxiliary(visa)"),
    ],
)
def test_data_sets_are_added_to_a_setting_in_order_and_once(setting, names, expected):
    assert with_auxiliary(setting, names) == expected


@pytest.mark.parametrize(
    ("setting", "meaning"),
    [
        ("zero-shot-auxiliary(visa)", "weights trained on labelled defects of visa, and no reference image"),
        ("zero-shot-auxiliary(a+b)", "weights trained on labelled defects of a and b, and no reference image"),
        ("few-shot-4+auxiliary(visa)", "4 normal reference images and weights trained on labelled defects of visa"),
        ("full-shot+auxiliary(visa)", "all normal training images and weights trained on labelled defects of visa"),
        ("few-shot-4", "4 normal reference images"),
    ],
)
def test_the_page_says_on_what_others_trained(setting, meaning):
    assert setting_meaning(setting) == meaning
