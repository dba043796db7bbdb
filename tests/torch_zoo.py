"""Models to test: every torch.nn module with parameters, and small transformers and timm models."""

import torch
from torch import nn
from torch.nn.utils import parametrizations

# The arguments of each class of layer with parameters.
LAYERS = {
    "AdaptiveLogSoftmaxWithLoss": (40, 100, [10, 50]),
    "BatchNorm1d": (30,),
    "BatchNorm2d": (30,),
    "BatchNorm3d": (30,),
    "Bilinear": (6, 7, 8),
    "Conv1d": (12, 16, 3),
    "Conv2d": (12, 16, 3, 1, 0, 1, 4),
    "Conv3d": (6, 8, 3),
    "ConvTranspose1d": (12, 16, 3),
    "ConvTranspose2d": (12, 16, 3),
    "ConvTranspose3d": (6, 8, 3),
    "Embedding": (60, 20, 7),
    "EmbeddingBag": (60, 20),
    "GRU": (20, 30, 2),
    "GRUCell": (20, 30),
    "GroupNorm": (3, 30),
    "InstanceNorm1d": (30, 1e-5, 0.1, True),
    "InstanceNorm2d": (30, 1e-5, 0.1, True),
    "InstanceNorm3d": (30, 1e-5, 0.1, True),
    "LSTM": (20, 30, 2),
    "LSTMCell": (20, 30),
    "LayerNorm": (30,),
    "Linear": (40, 50),
    "LinearCrossEntropyLoss": (40, 50),
    "MultiheadAttention": (32, 4, 0.0, True, True),
    "PReLU": (30,),
    "RMSNorm": (30,),
    "RNN": (20, 30, 2),
    "RNNBase": ("LSTM", 20, 30),
    "RNNCell": (20, 30),
    "SyncBatchNorm": (30,),
    "Transformer": (32, 4, 2, 2, 64),
    "TransformerDecoderLayer": (32, 4, 64),
    "TransformerEncoderLayer": (32, 4, 64),
}
# These take other modules, are abstract, or learn their parameters' shapes from the first batch.
WITHOUT = {"FractionalMaxPool2d", "FractionalMaxPool3d", "Unflatten"}  # their arguments are not just numbers
OTHERS = {"DataParallel", "RNNCellBase", "TransformerDecoder", "TransformerEncoder"}
LAYERS = {name: arguments for name, arguments in LAYERS.items() if hasattr(nn, name)}  # older versions lack some
LAYERS_LIKE = {name: (lambda name=name, args=args: getattr(nn, name)(*args)) for name, args in LAYERS.items()}

BUILDERS = {
    "TransformerEncoder": lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 3),
    "TransformerDecoder": lambda: nn.TransformerDecoder(nn.TransformerDecoderLayer(32, 4, 64), 3),
    "MultiheadAttention of three": lambda: nn.MultiheadAttention(32, 4, kdim=16, vdim=24),
    "LSTM with projections": lambda: nn.LSTM(20, 30, 2, bidirectional=True, proj_size=10),
    "EmbeddingBag with padding": lambda: nn.EmbeddingBag(60, 20, padding_idx=3),
    "weight_norm": lambda: parametrizations.weight_norm(nn.Linear(40, 50)),
    "spectral_norm": lambda: parametrizations.spectral_norm(nn.Linear(40, 50)),
    "channels_last": lambda: nn.Conv2d(12, 16, 3).to(memory_format=torch.channels_last),
    "ParameterList": lambda: nn.ParameterList([nn.Parameter(torch.randn(30, 4) * 0.02), nn.Parameter(torch.rand(50))]),
}


TRANSFORMERS = (
    "gpt2",
    "gpt_neox",
    "llama",
    "llama, tied",
    "mistral",
    "qwen2",
    "qwen3_moe",
    "qwen3_next",
    "mixtral",
    "olmoe",
    "gemma3",
    "gpt_oss",
    "deepseek_v3",
    "bamba",
    "mamba",
    "mamba2",
    "rwkv",
    "opt",
    "bloom",
    "big_bird",
    "bert",
    "roberta",
    "distilbert",
    "electra",
    "t5",
    "bart",
    "pegasus",
    "whisper",
    "vit",
    "beit",
    "swin",
    "convnext",
    "resnet",
    "wav2vec2",
    "clip",
    "siglip",
)


def transformers_models():
    """Return builders of small transformers models, by architecture."""
    import transformers as t

    t.logging.set_verbosity_error()
    base = {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 128,
        "vocab_size": 300,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    bert = {
        key: value for key, value in base.items() if key not in ("num_key_value_heads", "bos_token_id", "eos_token_id")
    }
    vision = {
        key: base[key] for key in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    }
    experts = {"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
    two = {
        "d_model": 64,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 128,
        "decoder_ffn_dim": 128,
        "vocab_size": 300,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "decoder_start_token_id": 1,
    }
    ids = {key: base[key] for key in ("pad_token_id", "bos_token_id", "eos_token_id")}
    small = {"hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 300, **ids}

    def causal(config):
        return lambda: t.AutoModelForCausalLM.from_config(config)

    def image(config):
        return lambda: t.AutoModelForImageClassification.from_config(config)

    def seq2seq(config):
        return lambda: t.AutoModelForSeq2SeqLM.from_config(config)

    return {
        "gpt2": causal(t.GPT2Config(n_embd=64, n_layer=2, n_head=4, vocab_size=300, bos_token_id=1, eos_token_id=2)),
        "gpt_neox": causal(t.GPTNeoXConfig(**{k: v for k, v in base.items() if k != "num_key_value_heads"})),
        "llama": causal(t.LlamaConfig(**base)),
        "llama, tied": causal(t.LlamaConfig(**base, tie_word_embeddings=True)),
        "mistral": causal(t.MistralConfig(**base)),
        "qwen2": causal(t.Qwen2Config(**base)),
        "qwen3_moe": causal(t.Qwen3MoeConfig(**base, **experts, head_dim=16)),
        "qwen3_next": causal(
            t.Qwen3NextConfig(
                **base,
                head_dim=16,
                shared_expert_intermediate_size=64,
                **{k: experts[k] for k in ("num_experts", "num_experts_per_tok", "moe_intermediate_size")},
            )
        ),
        "mixtral": causal(t.MixtralConfig(**base, num_local_experts=4, num_experts_per_tok=2)),
        "olmoe": causal(t.OlmoeConfig(**base, num_experts=4, num_experts_per_tok=2)),
        "gemma3": causal(t.Gemma3TextConfig(**base, head_dim=16)),
        "gpt_oss": causal(t.GptOssConfig(**base, head_dim=16, num_local_experts=4, num_experts_per_tok=2)),
        "deepseek_v3": causal(
            t.DeepseekV3Config(
                **{**base, "num_key_value_heads": 4},
                moe_intermediate_size=32,
                n_routed_experts=8,
                n_group=2,
                topk_group=1,
                num_experts_per_tok=2,
                first_k_dense_replace=1,
                q_lora_rank=32,
                kv_lora_rank=32,
                qk_rope_head_dim=16,
                qk_nope_head_dim=16,
                v_head_dim=16,
            )
        ),
        "bamba": causal(
            t.BambaConfig(
                **base, mamba_n_heads=8, mamba_d_head=16, mamba_n_groups=1, mamba_d_state=16, attn_layer_indices=[1]
            )
        ),
        "mamba": causal(t.MambaConfig(**small)),
        "mamba2": causal(t.Mamba2Config(**small, num_heads=8, head_dim=16, n_groups=1, state_size=16)),
        "rwkv": causal(t.RwkvConfig(**small)),
        "opt": causal(
            t.OPTConfig(
                hidden_size=64,
                num_hidden_layers=2,
                num_attention_heads=4,
                ffn_dim=128,
                vocab_size=300,
                word_embed_proj_dim=64,
                **ids,
            )
        ),
        "bloom": causal(t.BloomConfig(hidden_size=64, n_layer=2, n_head=4, vocab_size=300, **ids)),
        "big_bird": causal(t.BigBirdConfig(**bert, is_decoder=True)),
        "bert": lambda: t.AutoModelForMaskedLM.from_config(t.BertConfig(**bert)),
        "roberta": lambda: t.AutoModelForMaskedLM.from_config(t.RobertaConfig(**bert)),
        "distilbert": lambda: t.AutoModelForMaskedLM.from_config(
            t.DistilBertConfig(dim=64, n_layers=2, n_heads=4, hidden_dim=128, vocab_size=300)
        ),
        "electra": lambda: t.AutoModelForMaskedLM.from_config(t.ElectraConfig(**bert)),
        "t5": seq2seq(
            t.T5Config(
                d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4, vocab_size=300, decoder_start_token_id=0
            )
        ),
        "bart": seq2seq(t.BartConfig(**two)),
        "pegasus": seq2seq(t.PegasusConfig(**two)),
        "whisper": lambda: t.WhisperForConditionalGeneration._from_config(t.WhisperConfig(**two)),
        "vit": image(t.ViTConfig(**vision)),
        "beit": image(t.BeitConfig(**vision)),
        "swin": image(t.SwinConfig(embed_dim=24, depths=[1, 1], num_heads=[3, 6])),
        "convnext": image(t.ConvNextConfig(hidden_sizes=[16, 32, 64, 64], depths=[1, 1, 1, 1])),
        "resnet": image(t.ResNetConfig(embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1])),
        "wav2vec2": lambda: t.AutoModelForCTC.from_config(
            t.Wav2Vec2Config(
                **vision,
                vocab_size=30,
                conv_dim=(32,) * 7,
                num_conv_pos_embeddings=16,
                num_conv_pos_embedding_groups=4,
            )
        ),
        "clip": lambda: t.CLIPModel._from_config(
            t.CLIPConfig(text_config={**vision, "vocab_size": 300, **ids}, vision_config=vision)
        ),
        "siglip": lambda: t.SiglipModel._from_config(
            t.SiglipConfig(text_config={**vision, "vocab_size": 300, **ids}, vision_config={**vision, "image_size": 32})
        ),
    }


SHALLOW = {"beitv2_base_patch16_224": {"depth": 2}, "xcit_nano_12_p16_224": {"depth": 2}}
TIMM = (
    "beitv2_base_patch16_224",
    "convnext_atto",
    "deit_tiny_patch16_224",
    "efficientnet_b0",
    "levit_128s",
    "maxvit_nano_rw_256",
    "mixer_s32_224",
    "mobilenetv3_small_050",
    "nfnet_l0",
    "resnet18",
    "swin_tiny_patch4_window7_224",
    "swinv2_tiny_window8_256",
    "vit_tiny_patch16_224",
    "xcit_nano_12_p16_224",
)


def timm_models():
    """Return builders of timm models, by name."""
    import torchvision_stand_in

    with torchvision_stand_in.installed():
        import timm

    return {name: (lambda name=name: timm.create_model(name, **SHALLOW.get(name, {}))) for name in TIMM}
