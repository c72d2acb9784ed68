curl http://127.0.0.1:8080/v1/messages \
  -H "x-api-key: $PARLEY_TOKEN" \
  -H "anthropic-version: 2023-06-01" \
  -H "Content-Type: application/json" \
  -d '{
    "model": "parley-demo",
    "max_tokens": 128,
    "system": "You are Mira, a grumpy lighthouse keeper.",
    "messages": [{"role": "user", "content": "Who are you?"}],
    "stop_sequences": ["."]
  }'
