"""The sections of the page, a module and a template each: what `zsad.reporting.contents` holds, as a template needs it.

Every module has a function ``section`` that takes the `Contents` and returns a `Section`, or None where there is
nothing to say.
"""
