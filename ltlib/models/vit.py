"""ViT-B/16: Dosovitskiy et al. 2021 (arXiv 2010.11929), torchvision's network without its classifier.

Its position embeddings are of one size of image, and nothing is interpolated: images of another size are refused.
There is no dropout, as in torchvision.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ltlib.errors import SettingError
from ltlib.models.network import Backbone, fill

_TIMM = (
    (r"^cls_token$", "class_token"),
    (r"^pos_embed$", "encoder.pos_embedding"),
    (r"^patch_embed\.proj\.", "conv_proj."),
    (r"^norm\.", "encoder.ln."),
    (r"^blocks\.(\d+)\.", r"encoder.layers.encoder_layer_\1."),
    (r"\.attn\.qkv\.", ".self_attention.in_proj_"),  # queries, keys and values, in this order, in both
    (r"\.attn\.proj\.", ".self_attention.out_proj."),
    (r"\.norm([12])\.", r".ln_\1."),
    (r"\.mlp\.fc1\.", ".mlp.0."),
    (r"\.mlp\.fc2\.", ".mlp.3."),
    (r"\.mlp\.linear_1\.", ".mlp.0."),  # torchvision's own until 0.13, and of its file of weights
    (r"\.mlp\.linear_2\.", ".mlp.3."),
)
"""What timm, and torchvision's older versions, call the same weights."""


@dataclass(frozen=True)
class Shape:
    """Of one size: the side of an image and of a patch in pixels, layers, heads, and widths."""

    image: int
    patch: int
    layers: int
    heads: int
    width: int
    mlp: int


SIZES = {"full": Shape(224, 16, 12, 12, 768, 3072), "tiny": Shape(16, 4, 2, 3, 48, 96)}
"""``full`` is ViT-Base of the paper's Table 1 with patches of 16."""


class VisionTransformer(Backbone):
    """Vision transformer without its classifier; the features are the class token's, normalised.

    Args:
        size: Name in `SIZES`: ``full``, or ``tiny`` for tests and the quick profile.
    """

    published_classifier = ("heads.", "head.", "pre_logits.")

    def __init__(self, size: str = "full"):
        super().__init__()
        from torchvision.models import VisionTransformer as Whole  # slow to import

        shape = SIZES[size]
        whole = Whole(shape.image, shape.patch, shape.layers, shape.heads, shape.width, shape.mlp, num_classes=1)
        self.class_token, self.conv_proj, self.encoder = whole.class_token, whole.conv_proj, whole.encoder
        self.image_size, self.feature_dim = shape.image, shape.width

    def forward(self, images: Tensor) -> Tensor:
        """Images float [N, 3, 224, 224] to features [N, 768] (tiny: [N, 3, 16, 16] to [N, 48]).

        Raises:
            SettingError: Images of another size.
        """
        if images.shape[2:] != (self.image_size, self.image_size):
            height, width = images.shape[2:]
            raise SettingError(
                f"a ViT whose position embeddings are for {self.image_size}x{self.image_size} pixels cannot take "
                f"images of {height}x{width}; enlarge them with resize={self.image_size}"
            )
        patches = self.conv_proj(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(images), -1, -1), patches], 1)
        return self.encoder(tokens)[:, 0]

    def renamed(self, found: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Timm's names, and those of torchvision's file, in today's torchvision's."""
        renamed = {}
        for name, value in found.items():
            for theirs, ours in _TIMM:
                name = re.sub(theirs, ours, name)
            renamed[name] = value
        return renamed

    def draw_module(self, module: nn.Module, generator: torch.Generator) -> bool:
        """As torchvision draws.

        Patches: truncated normal with variance 1 / fan_in; positions: normal of 0.02; class token: zero. Attention and
        MLP: Xavier uniform, the MLP's biases normal of 1e-6, the attention's zero; its output torch's default.
        """
        if module is self:
            nn.init.zeros_(self.class_token)
        elif isinstance(positions := getattr(module, "pos_embedding", None), nn.Parameter):
            fill(positions, lambda new: new.normal_(std=0.02, generator=generator))
        elif isinstance(module, nn.Conv2d):
            std = 1 / math.sqrt(math.prod(module.weight.shape[1:]))
            fill(module.weight, lambda new: nn.init.trunc_normal_(new, std=std, generator=generator))
            assert module.bias is not None
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.MultiheadAttention):
            fill(module.in_proj_weight, lambda new: nn.init.xavier_uniform_(new, generator=generator))
            nn.init.zeros_(module.in_proj_bias)
        elif isinstance(module, nn.modules.linear.NonDynamicallyQuantizableLinear):  # the attention's output
            bound = 1 / math.sqrt(module.in_features)
            fill(module.weight, lambda new: new.uniform_(-bound, bound, generator=generator))
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            fill(module.weight, lambda new: nn.init.xavier_uniform_(new, generator=generator))
            fill(module.bias, lambda new: new.normal_(std=1e-6, generator=generator))
        else:
            return False
        return True
