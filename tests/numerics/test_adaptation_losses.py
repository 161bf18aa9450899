"""Losses of maps at the resolution of patches: against loops over the pixels that patches stand for."""

import math

import numpy as np
import pytest
import torch

from zsad.adaptation.losses import cross_entropy, dice, focal

PIXELS = 8  # of a patch
LAYERS = 3


def made_up(seed, *counts):
    """Logits, shares and counts of images that have so many patches each, filled up to the same number."""
    rng = np.random.default_rng(seed)
    width = max(map(len, counts))
    logits = rng.normal(size=(len(counts), LAYERS, width, 2))
    shares = rng.integers(0, PIXELS + 1, (len(counts), width)) / PIXELS
    filled = np.array([[*some, *[0] * (width - len(some))] for some in counts], dtype=float)
    return torch.tensor(logits), torch.tensor(shares), torch.tensor(filled)


def pixels_of(shares, counts):
    """Of every pixel of an image the patch that it lies in, and whether it is anomalous."""
    for patch, (share, count) in enumerate(zip(shares.tolist(), counts.tolist(), strict=True)):
        for _ in range(int(count)):
            for pixel in range(PIXELS):
                yield patch, pixel < round(share * PIXELS)


def softmax(logits):
    powers = [math.exp(logit) for logit in logits.tolist()]
    return [power / sum(powers) for power in powers]


BATCHES = [([1, 1, 1],), ([1, 1], [1, 1, 1]), ([2, 1, 5], [1], [3, 3])]


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("counts", BATCHES)
def test_focal_is_the_mean_loss_of_pixels_that_have_the_logits_of_their_patch(counts, gamma):
    logits, shares, counts = made_up(0, *counts)
    means = []
    for of_image, its_shares, its_counts in zip(logits, shares, counts, strict=True):
        for of_layer in of_image:
            losses = []
            for patch, is_anomalous in pixels_of(its_shares, its_counts):
                right = softmax(of_layer[patch])[int(is_anomalous)]
                losses.append(-((1 - right) ** gamma) * math.log(right))
            means.append(sum(losses) / len(losses))
    assert float(focal(logits, shares, counts, gamma)) == pytest.approx(sum(means) / len(means), rel=1e-9)


def test_focal_has_the_gamma_of_the_paper_by_default():
    logits, shares, counts = made_up(1, [1, 1, 1])
    assert float(focal(logits, shares, counts)) == float(focal(logits, shares, counts, 2.0))


@pytest.mark.parametrize("counts", BATCHES)
def test_dice_is_the_overlap_of_pixels_that_have_the_softmax_of_their_patch(counts):
    logits, shares, counts = made_up(2, *counts)
    means = []
    for of_image, its_shares, its_counts in zip(logits, shares, counts, strict=True):
        for of_layer in of_image:
            both = either = 0.0
            for patch, is_anomalous in pixels_of(its_shares, its_counts):
                anomalous = softmax(of_layer[patch])[1]
                both += anomalous * is_anomalous
                either += anomalous + is_anomalous
            means.append(1 - (2 * both + PIXELS) / (either + PIXELS))  # smoothed by the pixels of one patch
    assert float(dice(logits, shares, counts)) == pytest.approx(sum(means) / len(means), rel=1e-9)


def test_cross_entropy_is_the_mean_over_images_and_layers():
    logits, _, _ = made_up(3, [1], [1], [1])
    labels = torch.tensor([1, 0, 1])
    losses = [
        -math.log(softmax(logits[image, layer, 0])[int(labels[image])]) for image in range(3) for layer in range(LAYERS)
    ]
    assert float(cross_entropy(logits[:, :, 0], labels)) == pytest.approx(sum(losses) / len(losses), rel=1e-9)


def test_what_fills_an_image_up_says_nothing():
    logits, shares, counts = made_up(4, [2, 1, 5], [1])
    others = logits.clone()
    others[1, :, 1:] = 40.0
    more = torch.where(counts > 0, shares, 1.0)
    for loss in (focal, dice):
        assert float(loss(others, more, counts)) == float(loss(logits, shares, counts))


@pytest.mark.parametrize("loss", [focal, dice])
def test_gradients_are_those_of_finite_differences(loss):
    logits, shares, counts = made_up(5, [2, 1, 5], [1, 3])
    logits.requires_grad_()
    loss(logits, shares, counts).backward()
    step = 1e-6
    for place in np.ndindex(*logits.shape):
        found = []
        for sign in (1, -1):
            moved = logits.detach().clone()
            moved[place] += sign * step
            found.append(float(loss(moved, shares, counts)))
        assert float(logits.grad[place]) == pytest.approx((found[0] - found[1]) / (2 * step), abs=1e-8)


@pytest.mark.parametrize("size", [1e3, -1e3])
def test_logits_without_doubt_have_losses_that_are_numbers(size):
    logits = torch.tensor([[[[0.0, size]]]], requires_grad=True)
    for share in (0.0, 0.5, 1.0):
        total = focal(logits, torch.tensor([[share]]), torch.ones(1, 1)) + dice(
            logits, torch.tensor([[share]]), torch.ones(1, 1)
        )
        (gradient,) = torch.autograd.grad(total, logits)
        assert torch.isfinite(total)
        assert torch.isfinite(gradient).all()
