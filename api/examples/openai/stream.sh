curl --no-buffer http://127.0.0.1:8080/v1/chat/completions \
  -H "Authorization: Bearer $PARLEY_TOKEN" \
  -H "Content-Type: application/json" \
  -d '{
    "model": "parley-demo",
    "messages": [{"role": "user", "content": "Count from 1 to 10."}],
    "stream": true
  }'
