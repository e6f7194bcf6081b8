"""Small configurations of models nobody here wrote: stages without delay equal eager autograd."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from helpers.staged import forward_backward
from torch import nn
from weft.backend.nn.norm_swap import replace_norms
from weft.compiler.capture.capture import capture
from weft.compiler.mapping.coverage import coverage
from weft.compiler.stages.cut import cut

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

_TEXT = {
    "vocab_size": 32,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 16,
    "pad_token_id": 0,
}


def _transformers():
    return pytest.importorskip("transformers", reason="needs transformers")


def _tokens(model: nn.Module):
    ids = torch.randint(1, 32, (1, 9), generator=torch.Generator().manual_seed(1))
    return model, {"input_ids": ids, "labels": ids.flip(1)}, None


def _next_tokens(model: nn.Module):
    """With a loss of ours: that of causal models is computed in float32 whatever the model."""
    model, sample, _ = _tokens(model)
    return model, {"input_ids": sample["input_ids"], "target": sample["labels"]}, _loss_of_logits


def _loss_of_logits(result, target):
    logits = result if isinstance(result, torch.Tensor) else result.logits
    return F.cross_entropy(logits.flatten(0, -2), target.flatten())


def _image(model: nn.Module, size: int):
    image = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(1)).double()
    return model, (image, torch.tensor([3])), _loss_of_logits


def resnet18():
    torchvision = pytest.importorskip("torchvision", reason="needs torchvision")
    return _image(replace_norms(torchvision.models.resnet18(num_classes=5), "online"), 32)


def mobilenet():
    timm = pytest.importorskip("timm", reason="needs timm")
    model = timm.create_model("mobilenetv2_035", num_classes=5, drop_rate=0.0)
    return _image(replace_norms(model, "online"), 32)


def vision_transformer():
    timm = pytest.importorskip("timm", reason="needs timm")
    sizes = {"img_size": 16, "patch_size": 4, "embed_dim": 16, "depth": 2, "num_heads": 2}
    return _image(timm.models.VisionTransformer(**sizes, num_classes=5), 16)


def gpt2():
    sizes = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 16, "vocab_size": 32}
    dropout = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    transformers = _transformers()
    config = transformers.GPT2Config(**sizes, **dropout)
    return _next_tokens(transformers.GPT2LMHeadModel(config))


def bert():
    transformers = _transformers()
    dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return _tokens(transformers.BertForMaskedLM(transformers.BertConfig(**_TEXT, **dropout)))


def llama():
    transformers = _transformers()
    config = transformers.LlamaConfig(**_TEXT, num_key_value_heads=1)
    model = transformers.LlamaForCausalLM(config)
    for name, module in list(model.named_modules()):
        if type(module).__name__ == "LlamaRMSNorm":  # it computes in float32 whatever the model
            model.set_submodule(name, nn.RMSNorm(config.hidden_size, config.rms_norm_eps))
    return _next_tokens(model)


def squeezenet():
    """In-place activations, concatenations, no normalization."""
    torchvision = pytest.importorskip("torchvision", reason="needs torchvision")
    return _image(torchvision.models.squeezenet1_1(num_classes=5, dropout=0.0), 32)


def densenet():
    """Every layer reads all before it."""
    torchvision = pytest.importorskip("torchvision", reason="needs torchvision")
    model = torchvision.models.DenseNet(4, (2, 2), 8, bn_size=2, num_classes=5)
    return _image(replace_norms(model, "online"), 32)


def mixer():
    """Linear layers over permuted axes."""
    timm = pytest.importorskip("timm", reason="needs timm")
    sizes = {"img_size": 16, "patch_size": 4, "num_blocks": 2, "embed_dim": 16}
    return _image(timm.models.MlpMixer(**sizes, num_classes=5), 16)


def bart():
    """Encoder and decoder, two inputs by keyword, one embedding for both and the head."""
    transformers = _transformers()
    sizes = {"d_model": 16, "vocab_size": 32, "max_position_embeddings": 16, "pad_token_id": 0}
    depths = {f"{part}_layers": 1 for part in ("encoder", "decoder")}
    heads = {f"{part}_attention_heads": 2 for part in ("encoder", "decoder")}
    widths = {f"{part}_ffn_dim": 24 for part in ("encoder", "decoder")}
    options = {"dropout": 0.0, "use_cache": False, "bos_token_id": 1, "eos_token_id": 2}
    config = transformers.BartConfig(**sizes, **depths, **heads, **widths, **options)
    model, sample, loss_of = _next_tokens(transformers.BartForConditionalGeneration(config))
    ids = sample.pop("input_ids")
    return model, {"input_ids": ids, "decoder_input_ids": ids.roll(1, 1), **sample}, loss_of


def albert():
    """One layer, used twice."""
    transformers = _transformers()
    config = transformers.AlbertConfig(**_TEXT, embedding_size=8, classifier_dropout_prob=0.0)
    return _tokens(transformers.AlbertForMaskedLM(config))


def distilbert():
    """With frozen embeddings, as for fine-tuning."""
    transformers = _transformers()
    sizes = {"vocab_size": 32, "dim": 16, "hidden_dim": 24, "n_layers": 2, "n_heads": 2}
    dropout = {"dropout": 0.0, "attention_dropout": 0.0, "seq_classif_dropout": 0.0}
    config = transformers.DistilBertConfig(**sizes, **dropout, max_position_embeddings=16)
    model = transformers.DistilBertForSequenceClassification(config)
    model.distilbert.embeddings.requires_grad_(False)
    ids = torch.randint(1, 32, (1, 9), generator=torch.Generator().manual_seed(1))
    return model, {"input_ids": ids, "target": torch.tensor([1])}, _loss_of_logits


MODELS: tuple[Callable, ...] = (
    *(resnet18, mobilenet, vision_transformer, gpt2, bert, llama),
    *(squeezenet, densenet, mixer, bart, albert, distilbert),
)


@pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)
def test_stages_equal_eager_autograd(build):
    """float64 against float64: 1e-9 is a few million roundings."""
    torch.manual_seed(0)
    model, sample, loss_of = build()
    model = model.double().train()
    graph = capture(model, sample, loss_of)
    stages = cut(graph)
    assert coverage(stages).uncovered == ()

    known = {**graph.constants, **dict(model.named_buffers()), **dict(model.named_parameters())}
    known = {name: value.detach().clone() for name, value in known.items()}
    inputs = tuple(sample.values()) if isinstance(sample, dict) else sample
    loss, _, gradients, _ = forward_backward(stages, known, inputs)

    expected = _eager(model, sample, loss_of)
    expected.backward()
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-9, atol=1e-12)
    assert gradients.keys() == {n for n, p in model.named_parameters() if p.grad is not None}
    for name, gradient in gradients.items():
        exact = model.get_parameter(name).grad
        torch.testing.assert_close(gradient, exact, rtol=1e-9, atol=1e-12, msg=name)


def _eager(model, sample, loss_of):
    if not isinstance(sample, dict):
        return loss_of(model(sample[0]), sample[1])
    if loss_of is None:
        return model(**sample).loss
    arguments = {name: value for name, value in sample.items() if name != "target"}
    return loss_of(model(**arguments), sample["target"])
