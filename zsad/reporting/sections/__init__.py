"""The sections of the page, each with a module and a template; they prepare `zsad.reporting.contents` for templates.

Every module has a function ``section`` that takes the `Contents` and returns a `Section`, or None if there is
nothing to show.
"""
