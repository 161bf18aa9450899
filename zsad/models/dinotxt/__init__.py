"""dino.txt: a head that takes DINOv3's tokens into a space where texts lie as well, and the encoder of the texts.

Jose et al., "DINOv2 Meets Text", CVPR 2025; Siméoni et al., "DINOv3", 2025. Nothing here is taken from the authors'
code but the names of the tensors in their file, and the sizes that no tensor tells.
"""
