"""The families of ViTs: how the names in their files are recognised, and what they are in timm's names."""
import re

from ..families import Rule, WeightFamily

_NAMES = (  # of timm and of Meta, whose names do not contradict each other
    Rule(r'(?:head|head_dist|fc_norm|pre_logits)\..*', None, 'classification only'),
    Rule(r'attn_pool\..*', None, 'the pooling to one vector'),
    Rule(r'mask_token|decoder_.*|(?:lm_head|local_cls_norm|dino_head|ibot_head|projectors)\..*', None,
         'pre-training only'),
    Rule(r'rope_embed\.periods|blocks\.\d+\.attn\.(?:qkv\.bias_mask|rope\..*)|rope\.(?!freqs).*', None,
         'computed anew'),
    Rule(r'register_tokens|storage_tokens', 'reg_token'),
    Rule(r'(blocks\.\d+\.)gamma_([12])', r'\1ls\2.gamma'),
    Rule(r'(blocks\.\d+\.mlp\.)w12\.(.*)', r'\1fc1.\2'),
    Rule(r'(blocks\.\d+\.mlp\.)w1\.(.*)', r'\1fc1_g.\2'),
    Rule(r'(blocks\.\d+\.mlp\.)w2\.(.*)', r'\1fc1_x.\2'),
    Rule(r'(blocks\.\d+\.mlp\.)w3\.(.*)', r'\1fc2.\2'),
    Rule(r'(blocks\.\d+\.mlp\.)ffn_ln\.(.*)', r'\1norm.\2'),
    Rule(r'(blocks\.\d+\.attn\.)inner_attn_ln\.(.*)', r'\1norm.\2'),
    Rule(r'embeds\.(cls_token|reg_token|pos_embed)', r'\1'),
    Rule(r'embeds\.(proj\..*)', r'patch_embed.\1'))
_TOWER = r'(?:module\.)?visual\.'
_BLOCK = rf'{_TOWER}transformer\.resblocks\.(\d+)\.'

# Names within others: what is left after these is of one of `LAYOUTS`.
WITHIN = (
    WeightFamily('our ViTBackbone in a whole model', r'backbone\.vit\..*', (
        Rule(r'(?:decode_head|auxiliary_head|data_preprocessor)\..*', None, 'heads'),
        Rule(r'backbone\.vit\.(.*)', r'\1'))),
    WeightFamily('our ViTBackbone', r'vit\..*', (Rule(r'vit\.(.*)', r'\1'), )),
    WeightFamily('open_clip', r'visual\.trunk\..*', (
        Rule(r'visual\.head\..*', None, 'the projection to the space of texts'),
        Rule(r'visual\.trunk\.(.*)', r'\1'),
        Rule(r'.*', None, 'the text tower'))))
CLIP = WeightFamily("CLIP's image tower", rf'{_TOWER}class_embedding', (
    Rule(rf'{_TOWER}class_embedding', 'cls_token'),
    Rule(rf'{_TOWER}positional_embedding', 'pos_embed'),
    Rule(rf'{_TOWER}conv1\.(.*)', r'patch_embed.proj.\1'),
    Rule(rf'{_TOWER}ln_pre\.(.*)', r'norm_pre.\1'),
    Rule(rf'{_TOWER}ln_post\.(.*)', r'norm.\1'),
    Rule(rf'{_BLOCK}ln_([12])\.(.*)', r'blocks.\1.norm\2.\3'),
    Rule(rf'{_BLOCK}ls_([12])\.gamma', r'blocks.\1.ls\2.gamma'),
    Rule(rf'{_BLOCK}attn\.in_proj_(weight|bias)', r'blocks.\1.attn.qkv.\2'),
    Rule(rf'{_BLOCK}attn\.out_proj\.(.*)', r'blocks.\1.attn.proj.\2'),
    Rule(rf'{_BLOCK}mlp\.c_fc\.(.*)', r'blocks.\1.mlp.fc1.\2'),
    Rule(rf'{_BLOCK}mlp\.c_proj\.(.*)', r'blocks.\1.mlp.fc2.\2'),
    Rule(rf'{_TOWER}proj', None, 'the projection to the space of texts'),
    Rule(rf'{_TOWER}attn_pool\..*', None, 'the pooling to one vector'),
    Rule(rf'(?!{_TOWER}).*', None, 'the text tower')))
# The first that owns a file counts.
LAYOUTS = (
    CLIP,
    WeightFamily("timm's NaFlexViT", r'embeds\.proj\.weight', _NAMES),
    WeightFamily("Meta's DINOv3", 'storage_tokens', _NAMES),
    WeightFamily('EVA-style ViT', r'blocks\.\d+\.attn\.(?:q_bias|q_proj\.weight)', _NAMES),
    WeightFamily("Meta's DINOv2 or MAE", r'register_tokens|mask_token|blocks\.\d+\.mlp\.w12\.weight', _NAMES),
    WeightFamily("timm's ViT", r'patch_embed\.proj\.weight', _NAMES))

# Weights that are no source of a warm start: their marks, and what to do with them.
NO_SOURCE = (
    (r'backbone\.encoder\..*|encoder\.(?:process|memory)_stream\..*|process_pos_embed',
     'it is a ViTTM, not a ViT, and fits as it is; give it as pretrained=FILE'),
    (r'(?:.*\.)?(?:embeddings\.patch_embeddings?|patch_embeddings?\.projection|encoder\.layers?\.\d+|layer\.\d+)\..*',
     "its names are those of Hugging Face's transformers; give timm's file of the same model"),
)
# What some ViTs have and our encoder has no option for: patterns of timm's names, and what it is.
REFUSED = (
    (r'.*(?:relative_position|rel_pos).*', "BEiT's relative positions"),
    (r'rope\.freqs', 'rotary frequencies learned in each block (rope_mixed)'),
    (r'blocks\.\d+\.attn\.norm\..*', 'a norm inside the attention'),
    (r'blocks\.\d+\.attn\.gate\..*', 'a gate on the attention'),
    (r'blocks\.\d+\.attn\.(?:lambda|sub_norm).*', 'differential attention'),
    (r'blocks\.\d+\.\d+\..*', "blocks in chunks, of DINO's training; give the released file"),
)
CANONICAL = re.compile(
    r'cls_token|dist_token|reg_token|pos_embed|patch_embed\.proj\.(?:weight|bias)|(?:norm_pre|norm)\.(?:weight|bias)|'
    r'blocks\.(?P<block>\d+)\.(?P<part>norm[12]\.(?:weight|bias)|ls[12]\.gamma|attn\.(?:qkv|proj)\.(?:weight|bias)|'
    r'attn\.[qkv]_proj\.(?:weight|bias)|attn\.[qv]_bias|attn\.[qk]_norm\.(?:weight|bias)|'
    r'mlp\.(?:fc1|fc2|fc1_g|fc1_x|norm)\.(?:weight|bias))')
