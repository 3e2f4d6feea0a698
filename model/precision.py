"""Which arithmetic a device computes in."""

import torch


def computes_bf16(device: torch.device) -> bool:
    """Whether the hardware computes in bf16; elsewhere it would be slower than fp32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())
