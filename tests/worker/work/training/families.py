"""Every kind of causal language model that transformers knows, made tiny: two layers, width 64, random weights."""

import dataclasses
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from transformers import CONFIG_MAPPING, AutoModelForCausalLM
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

KINDS = sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
VOCABULARY = 160
LARGEST = 3_000_000
# What people try first, and one of each way to be built.
_FIRST = """afmoe apertus bamba bert bloom codegen cohere cohere2 cohere2_moe deepseek_v2 deepseek_v3 deepseek_v4 dots1 ernie4_5
    ernie4_5_moe exaone4 falcon falcon_h1 falcon_mamba gemma gemma2 gemma3 gemma3_text gemma3n_text gemma4 gemma4_text glm
    glm4 glm4_moe gpt2 gpt_bigcode gpt_neox gpt_oss gptj granite granitemoe granitemoehybrid hunyuan_v1_dense jamba kimi_linear
    lfm2 lfm2_moe llama llama4_text mamba2 minimax ministral3 mistral mixtral modernbert-decoder mpt nemotron nemotron_h olmo
    olmo2 olmo3 olmo_hybrid olmoe opt phi phi3 phimoe qwen2 qwen2_moe qwen3 qwen3_5 qwen3_5_moe_text qwen3_5_text qwen3_moe
    qwen3_next recurrent_gemma seed_oss smollm3 stablelm starcoder2 xglm xlstm zamba2"""
FIRST = tuple(_FIRST.split())
# Kinds that no small settings make, and what they say: parts of other models, or towers of a fixed size.
UNBUILT: dict[str, type[Exception]] = {
    "blt": ValueError,  # its byte embeddings alone hold 4.6 billion parameters
    "dbrx": AttributeError,  # its default configuration lacks rope_theta
    "dots3_note": StrictDataclassClassValidationError,  # with a tower of fixed size; dots3_note_text is its language model
    "gemma3n": ImportError,  # its tower comes from timm; gemma3n_text is its language model
    "gemma4_assistant": StrictDataclassClassValidationError,  # drafts for another model, whose states it reads
    "gemma4_unified_assistant": ValueError,  # the same
    "musicgen": AttributeError,  # makes sound
    "musicgen_melody": AttributeError,  # makes sound
    "phi4_multimodal": ValueError,  # its towers have a fixed size of 870 million parameters
}
# By the names that configurations use; a kind takes those that it has.
SMALL: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "decoder_vocab_size": VOCABULARY,
    "vocab_size_per_layer_input": VOCABULARY,
    "max_position_embeddings": 512,
    "n_positions": 512,
    "n_ctx": 512,
    "num_hidden_layers": 2,
    "num_layers": 2,
    "decoder_layers": 2,
    "encoder_layers": 1,
    "num_decoder_layers": 2,
    "num_encoder_layers": 1,
    "num_blocks": 2,
    "n_layer": 2,
    "n_layers": 2,
    "hidden_size": 64,
    "d_model": 64,
    "n_embd": 64,
    "emb_dim": 64,
    "embedding_dim": 64,
    "embedding_size": 64,
    "word_embed_proj_dim": 64,
    "intermediate_size": 96,
    "intermediate_size_mlp": 96,
    "dense_intermediate_size": 96,
    "shared_intermediate_size": 96,
    "moe_intermediate_size": 48,
    "shared_expert_intermediate_size": 48,
    "shared_experts_intermediate_size": 48,
    "moe_shared_expert_intermediate_size": 48,
    "expert_ffn_hidden_size": 48,
    "ffn_hidden_size": 96,
    "ffn_dim": 96,
    "decoder_ffn_dim": 96,
    "encoder_ffn_dim": 96,
    "dim_ff": 96,
    "dff": 96,
    "n_inner": 96,
    "d_inner": 96,
    "num_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_attention_heads": 4,
    "num_decoder_attention_heads": 4,
    "num_encoder_attention_heads": 4,
    "attention_heads": 4,
    "num_heads": 4,
    "n_head": 4,
    "n_heads": 4,
    "num_key_value_heads": 2,
    "num_kv_heads": 2,
    "num_query_groups": 2,
    "head_dim": 16,
    "d_head": 16,
    "dim_head": 16,
    "kv_channels": 16,
    "rotary_dim": 8,
    "query_pre_attn_scalar": 16,
    "hidden_size_per_layer_input": 8,
    "laurel_rank": 8,
    "num_kv_shared_layers": 0,
    "swa_num_attention_heads": 4,
    "swa_num_key_value_heads": 2,
    "swa_head_dim": 16,
    "q_lora_rank": 24,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "qk_head_dim": 16,
    "v_head_dim": 16,
    "o_lora_rank": 16,
    "o_groups": 2,
    "index_head_dim": 16,
    "index_n_heads": 2,
    "index_topk": 64,
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "moe_num_experts": 4,
    "num_experts_per_tok": 2,
    "num_experts_per_token": 2,
    "moe_topk": 2,
    "moe_k": 2,
    "n_group": 1,
    "topk_group": 1,
    "num_expert_group": 1,
    "zero_expert_num": 2,
    "first_k_dense_replace": 1,
    "mamba_n_heads": 8,
    "mamba_num_heads": 8,
    "mamba_d_head": 16,
    "mamba_head_dim": 16,
    "mamba_d_ssm": 128,
    "mamba_d_state": 16,
    "mamba_dt_rank": 8,
    "ssm_state_size": 16,
    "state_size": 16,
    "time_step_rank": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "linear_head_dim": 16,
    "linear_num_heads": 4,
    "router_hidden_size": 16,
    "lru_width": 64,
    "attention_hidden_size": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
# What the names above cannot say.
_MANY = {"num_key_value_heads": 4}
_HYBRID = {"layer_types": ["linear_attention", "full_attention"]}
_VISION = {
    "num_hidden_layers": 1,
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 8,
    "vocab_size": 8,
}
_TEXT = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": VOCABULARY,
}
OWN: dict[str, dict[str, Any]] = {
    "axk2": _MANY,
    "cohere_compass_text": {
        "layer_types": ["sliding_attention", "full_attention"],
        "sliding_window": 8,
        "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
            "full_attention": {"rope_type": "default", "rope_theta": 1e5},
        },
    },
    "deepseek_v32": _MANY,
    "dots1": {
        **_MANY,
        "n_shared_experts": 1,
        "sliding_window": 8,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "dots3_note_text": _MANY,
    "dots3_note": {"text_config": {"hidden_size": 64, "num_hidden_layers": 2}},
    "fuyu": {"text_config": {"model_type": "persimmon", **_TEXT}, "image_size": 16, "patch_size": 8},
    "gemma2": {"sliding_window": 8},
    "gemma3": {"vision_config": _VISION, "mm_tokens_per_image": 4},
    "gemma3_text": {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]},
    "gemma3n_text": {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 8},
    "git": {"vision_config": _VISION},
    "glm_moe_dsa": _MANY,
    "got_ocr2": {
        "text_config": {"model_type": "qwen2", **_TEXT},
        "vision_config": {
            "hidden_size": 32,
            "output_channels": 8,
            "num_hidden_layers": 1,
            "mlp_dim": 32,
            "num_attention_heads": 2,
            "image_size": 32,
            "patch_size": 16,
            "window_size": 2,
        },
    },
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 8},
    "gpt_oss": {"sliding_window": 8},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
    "longcat_flash": {**_MANY, "qk_rope_head_dim": 8, "head_dim": 8},
    "mamba2": {"head_dim": 32, "n_groups": 2, "chunk_size": 16},
    "mistral": {"sliding_window": 8},
    "moss_transcribe_diarize": {
        "text_config": {"model_type": "qwen3", **_TEXT},
        "audio_config": {
            "d_model": 32,
            "encoder_layers": 1,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 32,
        },
    },
    "olmo3": {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]},
    "olmo_hybrid": _HYBRID,
    "qwen3_5_moe_text": _HYBRID,
    "qwen3_5_text": _HYBRID,
    "qwen3_next": _HYBRID,
    "reformer": {"is_decoder": True, "axial_pos_shape": [16, 32], "axial_pos_embds_dim": [32, 32]},
    "roc_bert": {
        "pronunciation_vocab_size": 8,
        "shape_vocab_size": 8,
        "pronunciation_embed_dim": 8,
        "shape_embed_dim": 8,
    },
    "xmod": {"default_language": "en_XX"},
    "zamba": {
        "num_hidden_layers": 3,
        "attention_hidden_size": 128,
        "attention_head_dim": 32,
        "layers_block_type": ["mamba", "hybrid", "hybrid"],
    },
    "zamba2": {"num_hidden_layers": 2, "layers_block_type": ["mamba", "hybrid"], "hybrid_layer_ids": [1]},
    "zaya": {"num_experts_per_tok": 1},
}


def tiny_config(kind: str) -> Any:
    """A small configuration of this kind. Raises whatever the kind says against it."""
    config_class = CONFIG_MAPPING[kind]
    known = {field.name for field in dataclasses.fields(config_class)}
    own = OWN.get(kind, {})
    if "text_config" in known and "text_config" not in own:
        text = config_class.sub_configs.get("text_config")
        if text is not None and hasattr(text, "model_type"):
            own = {**own, "text_config": small_values(text)}
    return config_class(**{**small_values(config_class), **own})


def small_values(config_class: Any) -> dict[str, Any]:
    known = {field.name for field in dataclasses.fields(config_class)}
    return {name: value for name, value in SMALL.items() if name in known}


def tiny_model(kind: str, config: Any | None = None) -> Any:
    """In fp32 and in evaluation mode, its logits as far apart as a trained model's."""
    config = config or tiny_config(kind)
    with torch.device("meta"):
        size = sum(p.numel() for p in _built(config).parameters())
    if size > LARGEST:
        raise ValueError(f"{size} parameters with small settings")
    torch.manual_seed(0)
    model = _built(config).eval()
    for parameter in model.parameters():
        if parameter.ndim >= 2:
            parameter.data.normal_(std=0.08)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    with torch.no_grad():
        ids = torch.randint(3, VOCABULARY, (1, 16))
        spread = model(input_ids=ids, use_cache=False).logits.std()
        model.get_output_embeddings().weight.mul_(2.5 / spread)
    return model


def _built(config: Any) -> Any:
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32)  # type: ignore[no-untyped-call]
