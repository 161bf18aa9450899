"""The demo data set: small categories with planted defects, made from a seed, in the MVTec AD layout.

Two categories are crops of real photographs that come with scikit-image (brick, grass); two are rendered
parts (a mirror-symmetric ring; a circuit board lying at any angle).
"""
