"""Matrix products of a network on the CPU, with weights laid out for them and GELU in the same pass.

PyTorch hands bfloat16 products to oneDNN, which brings the weights into its own layout first, for every image anew,
and writes a product to memory before GELU reads it again. oneDNN can do both better: ``torch.compile`` makes use of
the same operators. They bear an underscore because their signatures may change; the version of torch is pinned, and
`tests/numerics` compares them with the plain layers.
"""

from __future__ import annotations

import torch
from transformers.activations import GELUActivation

# Names by which networks call a linear layer and the activation that is applied to its output and nothing else.
WITH_ACTIVATION = {"up_proj": "act_fn", "fc1": "activation_fn", "pointwise_conv1": "activation_fn"}
GATE = "gate_proj"  # where there is one, the activation is the gate's


class PackedLinear(torch.nn.Module):
    """A linear layer for inference in bfloat16 on the CPU.

    Args:
        linear: with weights in bfloat16.
        with_gelu: whether GELU (by the error function) is applied to the output.
    """

    def __init__(self, linear: torch.nn.Linear, *, with_gelu: bool) -> None:
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach())
        self.bias = None if linear.bias is None else linear.bias.detach()
        self._attribute, self._algorithm = ("gelu", "none") if with_gelu else ("none", "")

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """``[..., channel]`` in any format to bfloat16."""
        return torch.ops.mkldnn._linear_pointwise(
            values.to(torch.bfloat16), self.weight, self.bias, self._attribute, [], self._algorithm
        )


def packed(network: torch.nn.Module) -> torch.nn.Module:
    """Replace the linear layers of a network whose products are in bfloat16 on the CPU, in place; return it."""
    if not torch.backends.mkldnn.is_available():
        return network
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, torch.nn.Linear):
                activation = WITH_ACTIVATION.get(name, "")
                with_gelu = not hasattr(module, GATE) and _is_exact_gelu(getattr(module, activation, None))
                if with_gelu:
                    setattr(module, activation, torch.nn.Identity())
                setattr(module, name, PackedLinear(child, with_gelu=with_gelu))
    return network


def _is_exact_gelu(activation: object) -> bool:
    if isinstance(activation, GELUActivation):
        return activation.act is torch.nn.functional.gelu
    return isinstance(activation, torch.nn.GELU) and activation.approximate == "none"
