"""Losses of maps at the resolution of patches, whose targets are shares of pixels.

A map that is constant over the pixels of a patch has, over these pixels, the loss that the functions below compute from
the share ``s`` of them that is anomalous: of ``n`` such pixels ``s n`` have the loss of an anomalous pixel and
``(1 - s) n`` that of a normal one. Patches may count more than once, to represent others that were not sampled.
"""

from __future__ import annotations

from zsad.lazy import torch

GAMMA = 2.0  # of the focal loss, as UniADet, AnomalyCLIP and APRIL-GAN have it
SMOOTHING = 1.0  # of Dice, in patches: keeps the overlap of an image without a defect finite


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy over images and layers, a scalar.

    Args:
        logits: ``[image, layer, 2]``, normal and anomalous.
        labels: ``[image]``, 1 of an anomalous image and 0 of a normal one.
    """
    log_shares = torch.log_softmax(logits, dim=-1)
    chosen = torch.where(labels[:, None] > 0, log_shares[..., 1], log_shares[..., 0])
    return -chosen.mean()


def focal(logits: torch.Tensor, shares: torch.Tensor, counts: torch.Tensor, gamma: float = GAMMA) -> torch.Tensor:
    """Focal loss (Lin et al., ICCV 2017, equation 4) of patches, a scalar: the mean over images and layers.

    With ``p`` the softmax of a patch, it is ``-s (1 - p_1)^gamma log p_1 - (1 - s) (1 - p_0)^gamma log p_0``, the mean
    over the pixels of the patch; of an image, it is the mean over its patches.

    Args:
        logits: ``[image, layer, patch, 2]``, normal and anomalous.
        shares: ``[image, patch]``, ``s`` in 0...1.
        counts: ``[image, patch]``, how many patches each represents; 0 for padding up to the width of the batch. Each
            image has some above 0.
        gamma: 0 for the cross-entropy.
    """
    log_normal, log_anomalous = torch.log_softmax(logits, dim=-1).unbind(dim=-1)
    normal, anomalous = log_normal.exp(), log_anomalous.exp()
    of_anomalous = -shares[:, None] * normal**gamma * log_anomalous  # 1 - p_1 is p_0
    of_normal = -(1 - shares[:, None]) * anomalous**gamma * log_normal
    weights = counts / counts.sum(dim=1, keepdim=True)
    return ((of_anomalous + of_normal) * weights[:, None]).sum(dim=-1).mean()


def dice(logits: torch.Tensor, shares: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Dice loss (Milletari et al., 3DV 2016) of the anomalous channel, a scalar: the mean over images and layers.

    ``1 - (2 sum p_1 s + 1) / (sum p_1 + sum s + 1)`` over the patches of an image. The denominator has no squares, as
    in the losses of AnomalyCLIP and APRIL-GAN.

    Args:
        logits, shares, counts: as of `focal`.
    """
    anomalous = torch.softmax(logits, dim=-1)[..., 1]
    both = (counts[:, None] * anomalous * shares[:, None]).sum(dim=-1)
    either = (counts[:, None] * (anomalous + shares[:, None])).sum(dim=-1)
    return (1 - (2 * both + SMOOTHING) / (either + SMOOTHING)).mean()
