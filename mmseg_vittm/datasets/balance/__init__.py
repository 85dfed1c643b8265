"""Rare classes: what images are drawn, and where they are cropped, so that training sees more of them."""
