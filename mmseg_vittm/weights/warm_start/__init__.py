"""Warm starts: a ViT's weights in a ViTTM, or in a ViT of another patch size, so that it works from the first step."""
