"""The bundled demonstration model: how its dialogues are made, how it is trained, converted and measured.

The files here build models/demo.gguf. Nothing in Parley itself imports this package.
"""
