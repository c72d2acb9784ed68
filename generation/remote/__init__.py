"""The engine whose model is served elsewhere: by llama-server, vLLM, or anything with OpenAI's routes."""
