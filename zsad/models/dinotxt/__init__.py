"""dino.txt: a head that maps DINOv3's tokens into a space shared with texts, and the encoder of the texts.

Jose et al., "DINOv2 Meets Text", CVPR 2025; Siméoni et al., "DINOv3", 2025. Only the names of the tensors in the
authors' file, and sizes that no tensor gives, are taken from their code.
"""
