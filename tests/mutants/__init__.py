"""Mutation testing: single operators and constants are changed, and the tests of the module must notice."""
