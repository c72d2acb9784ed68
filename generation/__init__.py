"""The model: engine protocol, llama.cpp engine and its supervised child, prompt fitting. Knows no HTTP, no SQL."""
