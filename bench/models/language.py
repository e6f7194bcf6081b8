"""Models of transformers that the coverage run compiles, by configuration class.

Sizes are those of the smallest published model or below, so that a run takes minutes; what a model
asks of the compiler does not depend on its width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ...backend.packages import model_package
from .case import Case

_DECODER = {
    "hidden_size": 512,
    "intermediate_size": 1024,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "vocab_size": 4096,
    "max_position_embeddings": 512,
    "use_cache": False,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_ENCODER = {key: value for key, value in _DECODER.items() if key != "use_cache"}
_GROUPED = {**_DECODER, "num_key_value_heads": 4, "head_dim": 64}
_SHORT = {
    "d_model": 256,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 512,
    "decoder_ffn_dim": 512,
    "vocab_size": 4096,
    "max_position_embeddings": 512,
    "use_cache": False,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}
_T5 = {
    "d_model": 256,
    "d_kv": 64,
    "d_ff": 512,
    "num_layers": 2,
    "num_heads": 4,
    "vocab_size": 4096,
    "use_cache": False,
    "decoder_start_token_id": 0,
}
_VISION = {
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}

_GPT = {"n_embd": 512, "n_layer": 4, "n_head": 8}
_ROTARY = {**_GPT, "rotary_dim": 32, "vocab_size": 4096}

CONFIGURATIONS: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "gpt2": ("GPT2Config", "GPT2LMHeadModel", {"n_layer": 12, "use_cache": False}),
    "gpt2-own-sizes": ("GPT2Config", "GPT2LMHeadModel", _GPT),
    "gpt-neo": (
        "GPTNeoConfig",
        "GPTNeoForCausalLM",
        {
            **{k: _DECODER[k] for k in ("hidden_size", "vocab_size", "use_cache")},
            "num_layers": 4,
            "num_heads": 8,
            "attention_types": [[["global", "local"], 2]],
        },
    ),
    "gpt-neox": ("GPTNeoXConfig", "GPTNeoXForCausalLM", _DECODER),
    "gptj": ("GPTJConfig", "GPTJForCausalLM", _ROTARY),
    "gpt-bigcode": (
        "GPTBigCodeConfig",
        "GPTBigCodeForCausalLM",
        {**_GPT, "vocab_size": 4096, "use_cache": False},
    ),
    "opt": (
        "OPTConfig",
        "OPTForCausalLM",
        {
            **{k: v for k, v in _DECODER.items() if k != "intermediate_size"},
            "ffn_dim": 1024,
            "word_embed_proj_dim": 512,
        },
    ),
    "bloom": (
        "BloomConfig",
        "BloomForCausalLM",
        {"hidden_size": 512, "n_layer": 4, "n_head": 8, "vocab_size": 4096, "use_cache": False},
    ),
    "falcon": (
        "FalconConfig",
        "FalconForCausalLM",
        {
            "hidden_size": 512,
            "num_hidden_layers": 4,
            "num_attention_heads": 8,
            "vocab_size": 4096,
            "use_cache": False,
        },
    ),
    "llama": ("LlamaConfig", "LlamaForCausalLM", _GROUPED),
    "mistral": ("MistralConfig", "MistralForCausalLM", _GROUPED),
    "qwen2": ("Qwen2Config", "Qwen2ForCausalLM", _GROUPED),
    "qwen3": ("Qwen3Config", "Qwen3ForCausalLM", _GROUPED),
    "gemma": ("GemmaConfig", "GemmaForCausalLM", _GROUPED),
    "gemma2": ("Gemma2Config", "Gemma2ForCausalLM", _GROUPED),
    "phi": ("PhiConfig", "PhiForCausalLM", _DECODER),
    "phi3": ("Phi3Config", "Phi3ForCausalLM", _DECODER),
    "stablelm": (
        "StableLmConfig",
        "StableLmForCausalLM",
        {**_DECODER, "num_key_value_heads": 8},
    ),
    "olmo2": ("Olmo2Config", "Olmo2ForCausalLM", _DECODER),
    "cohere": ("CohereConfig", "CohereForCausalLM", _DECODER),
    "starcoder2": ("Starcoder2Config", "Starcoder2ForCausalLM", _DECODER),
    "granite": ("GraniteConfig", "GraniteForCausalLM", _DECODER),
    "smollm3": ("SmolLM3Config", "SmolLM3ForCausalLM", _GROUPED),
    "mpt": (
        "MptConfig",
        "MptForCausalLM",
        {"d_model": 512, "n_heads": 8, "n_layers": 4, "vocab_size": 4096, "use_cache": False},
    ),
    "codegen": ("CodeGenConfig", "CodeGenForCausalLM", _ROTARY),
    "mamba": (
        "MambaConfig",
        "MambaForCausalLM",
        {"hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 512, "use_cache": False},
    ),
    "mixtral": ("MixtralConfig", "MixtralForCausalLM", {**_GROUPED, "num_local_experts": 4}),
    "deepseek-v3": (
        "DeepseekV3Config",
        "DeepseekV3ForCausalLM",
        {
            **_DECODER,
            "num_key_value_heads": 8,
            "moe_intermediate_size": 128,
            "n_routed_experts": 8,
            "num_experts_per_tok": 2,
            "n_group": 2,
            "topk_group": 1,
            "first_k_dense_replace": 1,
            "kv_lora_rank": 64,
            "q_lora_rank": 96,
            "qk_rope_head_dim": 16,
            "qk_nope_head_dim": 32,
            "v_head_dim": 32,
        },
    ),
    "bert": ("BertConfig", "BertForMaskedLM", _ENCODER),
    "bert-classifier": ("BertConfig", "BertForSequenceClassification", _ENCODER),
    "roberta": ("RobertaConfig", "RobertaForMaskedLM", _ENCODER),
    "distilbert": (
        "DistilBertConfig",
        "DistilBertForMaskedLM",
        {"dim": 512, "hidden_dim": 1024, "n_layers": 4, "n_heads": 8, "vocab_size": 4096},
    ),
    "albert": ("AlbertConfig", "AlbertForMaskedLM", {**_ENCODER, "embedding_size": 128}),
    "electra": ("ElectraConfig", "ElectraForMaskedLM", {**_ENCODER, "embedding_size": 128}),
    "deberta-v2": ("DebertaV2Config", "DebertaV2ForMaskedLM", _ENCODER),
    "mpnet": ("MPNetConfig", "MPNetForMaskedLM", _ENCODER),
    "camembert": ("CamembertConfig", "CamembertForMaskedLM", _ENCODER),
    "xlm-roberta": ("XLMRobertaConfig", "XLMRobertaForMaskedLM", _ENCODER),
    "modernbert": (
        "ModernBertConfig",
        "ModernBertForMaskedLM",
        {**_ENCODER, "cls_token_id": 1, "sep_token_id": 2},
    ),
    "t5": ("T5Config", "T5ForConditionalGeneration", _T5),
    "mt5": ("MT5Config", "MT5ForConditionalGeneration", _T5),
    "bart": ("BartConfig", "BartForConditionalGeneration", _SHORT),
    "mbart": ("MBartConfig", "MBartForConditionalGeneration", _SHORT),
    "marian": ("MarianConfig", "MarianMTModel", _SHORT),
    "pegasus": ("PegasusConfig", "PegasusForConditionalGeneration", _SHORT),
    "vit": ("ViTConfig", "ViTForImageClassification", _VISION),
    "deit": ("DeiTConfig", "DeiTForImageClassification", _VISION),
    "beit": ("BeitConfig", "BeitForImageClassification", _VISION),
    "dinov2": ("Dinov2Config", "Dinov2ForImageClassification", {**_VISION, "mlp_ratio": 2}),
    "convnext": ("ConvNextConfig", "ConvNextForImageClassification", {}),
    "segformer": ("SegformerConfig", "SegformerForImageClassification", {}),
    "swin": ("SwinConfig", "SwinForImageClassification", {}),
    "whisper": (
        "WhisperConfig",
        "WhisperForConditionalGeneration",
        {
            "d_model": 256,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 512,
            "decoder_ffn_dim": 512,
            "use_cache": False,
        },
    ),
}
"""Name -> configuration class, model class, what differs from the configuration's defaults."""

_TOKENS = 128
_IMAGE = (1, 3, 224, 224)
_AUDIO = (1, 80, 3000)


def case(name: str) -> Case:
    """A transformers model with its own loss, on the meta device."""
    transformers = model_package("transformers")

    transformers.logging.set_verbosity_error()
    config_class, model_class, options = CONFIGURATIONS[name]
    config = getattr(transformers, config_class)(**options)
    with torch.device("meta"):
        model: nn.Module = getattr(transformers, model_class)(config)
    return Case(model, _SAMPLES[getattr(model, "main_input_name", "input_ids")](model_class), None)


def _text(model_class: str) -> dict[str, Tensor]:
    tokens = _integers(1, _TOKENS)
    labels = _integers(1) if "Classification" in model_class else _integers(1, _TOKENS)
    mask = {"attention_mask": _integers(1, _TOKENS)} if "Masked" in model_class else {}
    return {"input_ids": tokens, **mask, "labels": labels}


def _image(model_class: str) -> dict[str, Tensor]:
    return {"pixel_values": torch.empty(_IMAGE, device="meta"), "labels": _integers(1)}


def _audio(model_class: str) -> dict[str, Tensor]:
    return {"input_features": torch.empty(_AUDIO, device="meta"), "labels": _integers(1, _TOKENS)}


_SAMPLES: Mapping[str, Callable[[str], dict[str, Tensor]]] = {
    "input_ids": _text,
    "pixel_values": _image,
    "input_features": _audio,
}


def _integers(*shape: int) -> Tensor:
    return torch.empty(shape, dtype=torch.long, device="meta")
