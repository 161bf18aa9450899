"""The demo data set: small categories with planted defects, made from a seed, in the MVTec AD layout.

Two categories are crops of real photographs that come with scikit-image (brick, grass); two are rendered objects (a
mirror-symmetric ring; a circuit board at any angle).
"""
