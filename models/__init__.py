"""The bundled demonstration model and its adapter: how they are trained, converted and measured, and on what.

The files here build models/demo.gguf and models/pirate.gguf. Nothing in Parley itself imports this package.
"""
