"""The published models, a module for each kind; `zsad.models.catalogue` joins them."""
