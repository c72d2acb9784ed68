curl --no-buffer http://127.0.0.1:8080/v1/messages \
  -H "x-api-key: $PARLEY_TOKEN" \
  -H "anthropic-version: 2023-06-01" \
  -H "Content-Type: application/json" \
  -d '{
    "model": "parley-demo",
    "max_tokens": 128,
    "messages": [{"role": "user", "content": "Count from 1 to 10."}],
    "stream": true
  }'
